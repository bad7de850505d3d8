// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options.ChecksumOpt;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * A builder of a file on a FileSystem that is timed. Whatever is asked of it is asked of the FileSystem's own builder, which
 * knows its options.
 */
final class TimedCreateBuilder extends FSDataOutputStreamBuilder<FSDataOutputStream, TimedCreateBuilder> {

  private final FSDataOutputStreamBuilder<?, ?> builder;

  /**
   * @param fs the FileSystem that is timed
   * @param builder its own
   */
  TimedCreateBuilder(FileSystem fs, Path path, FSDataOutputStreamBuilder<?, ?> builder) {
    super(fs, path);
    this.builder = builder;
  }

  @Override
  public TimedCreateBuilder getThisBuilder() {
    return this;
  }

  @Override
  public FSDataOutputStream build() throws IOException {
    return TimedCalls.create(builder::build);
  }

  @Override
  public TimedCreateBuilder permission(FsPermission permission) {
    builder.permission(permission);
    return this;
  }

  @Override
  public TimedCreateBuilder bufferSize(int bytes) {
    builder.bufferSize(bytes);
    return this;
  }

  @Override
  public TimedCreateBuilder replication(short replication) {
    builder.replication(replication);
    return this;
  }

  @Override
  public TimedCreateBuilder blockSize(long bytes) {
    builder.blockSize(bytes);
    return this;
  }

  @Override
  public TimedCreateBuilder recursive() {
    builder.recursive();
    return this;
  }

  @Override
  public TimedCreateBuilder progress(Progressable progress) {
    builder.progress(progress);
    return this;
  }

  @Override
  public TimedCreateBuilder create() {
    builder.create();
    return this;
  }

  @Override
  public TimedCreateBuilder overwrite(boolean overwrite) {
    builder.overwrite(overwrite);
    return this;
  }

  @Override
  public TimedCreateBuilder append() {
    builder.append();
    return this;
  }

  @Override
  public TimedCreateBuilder checksumOpt(ChecksumOpt checksum) {
    builder.checksumOpt(checksum);
    return this;
  }

  // Options. Each overload to its like: how they turn numbers into text differs between Hadoop's versions.

  @Override
  public TimedCreateBuilder opt(String key, String value) {
    builder.opt(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder opt(String key, boolean value) {
    builder.opt(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder opt(String key, int value) {
    builder.opt(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder opt(String key, long value) {
    builder.opt(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder opt(String key, float value) {
    builder.opt(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder opt(String key, double value) {
    builder.opt(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder opt(String key, String... values) {
    builder.opt(key, values);
    return this;
  }

  @Override
  public TimedCreateBuilder optLong(String key, long value) {
    builder.optLong(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder optDouble(String key, double value) {
    builder.optDouble(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, String value) {
    builder.must(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, boolean value) {
    builder.must(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, int value) {
    builder.must(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, long value) {
    builder.must(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, float value) {
    builder.must(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, double value) {
    builder.must(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder must(String key, String... values) {
    builder.must(key, values);
    return this;
  }

  @Override
  public TimedCreateBuilder mustLong(String key, long value) {
    builder.mustLong(key, value);
    return this;
  }

  @Override
  public TimedCreateBuilder mustDouble(String key, double value) {
    builder.mustDouble(key, value);
    return this;
  }
}
