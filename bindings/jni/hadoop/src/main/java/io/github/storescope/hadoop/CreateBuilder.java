// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIOException;

/** What {@code createFile} builds: a file with its options. */
final class CreateBuilder extends FSDataOutputStreamBuilder<FSDataOutputStream, CreateBuilder> {

  static final String CONTENT_TYPE = "fs.option.create.content.type";
  /** That files are made when they are closed, which is always so. */
  static final String IN_CLOSE = "fs.option.create.in.close";
  /** Whether nothing is asked of the store before the file is closed. */
  static final String PERFORMANCE = "fs.oci.create.performance";

  static final String S3A_PERFORMANCE = "fs.s3a.create.performance";

  private static final String HEADER = "fs.oci.create.header.";
  private static final String S3A_HEADER = "fs.s3a.create.header.";
  private static final Set<String> KEYS =
      Set.of(StoreOutputStream.CONDITIONAL_OVERWRITE, CONTENT_TYPE, IN_CLOSE, PERFORMANCE, S3A_PERFORMANCE);
  /** Headers that objects have; others are user metadata. */
  private static final Set<String> STANDARD =
      Set.of("content-type", "content-encoding", "content-language", "content-disposition", "cache-control");

  private final FileCreator creator;

  CreateBuilder(FileSystem fs, FileCreator creator, Path path) {
    super(fs, path);
    this.creator = creator;
  }

  @Override
  public CreateBuilder getThisBuilder() {
    return this;
  }

  @Override
  public FSDataOutputStream build() throws IOException {
    Set<String> known = new HashSet<>(KEYS);
    for (String key : getMandatoryKeys()) {
      if (key.startsWith(HEADER) || key.startsWith(S3A_HEADER)) {
        known.add(key);
      }
    }
    rejectUnknownMandatoryKeys(known, "for " + getPath());
    if (getFlags().contains(CreateFlag.APPEND)) {
      throw FileCreator.noAppend(getPath());
    }
    if (!getFlags().contains(CreateFlag.CREATE) && !getFlags().contains(CreateFlag.OVERWRITE)) {
      throw new PathIOException(getPath().toString(), "Must specify either create or overwrite");
    }
    Configuration options = getOptions();
    boolean overwrite = getFlags().contains(CreateFlag.OVERWRITE);
    boolean conditional = options.getBoolean(StoreOutputStream.CONDITIONAL_OVERWRITE, false);
    boolean unchecked =
        conditional || options.getBoolean(PERFORMANCE, options.getBoolean(S3A_PERFORMANCE, false));
    return creator.create(getPath(), overwrite && !conditional, isRecursive(), unchecked, about(options));
  }

  /** Names and values as the native writer wants them. */
  static String[] about(Configuration options) {
    List<String> about = new ArrayList<>();
    String type = options.get(CONTENT_TYPE);
    if (type != null) {
      about.add("content-type");
      about.add(type);
    }
    for (String prefix : new String[] {HEADER, S3A_HEADER}) {
      for (Map.Entry<String, String> header : options.getPropsWithPrefix(prefix).entrySet()) {
        String name = header.getKey().toLowerCase(Locale.ROOT);
        about.add(STANDARD.contains(name) ? name : "meta-" + header.getKey());
        about.add(header.getValue());
      }
    }
    return about.toArray(new String[0]);
  }
}
