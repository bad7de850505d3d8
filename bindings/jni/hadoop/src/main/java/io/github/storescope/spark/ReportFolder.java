// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Where the report of an application goes: {@code report.html}, {@code run.json} and {@code run.hlog} in a folder of any
 * FileSystem. A file on the machine itself is replaced at once, so that there is always a whole one; elsewhere as the FileSystem
 * does it.
 */
final class ReportFolder {

  private final Path folder;
  private final Configuration conf;

  ReportFolder(String parent, String application, Configuration conf) {
    folder = new Path(parent, application);
    this.conf = conf;
  }

  Path path() {
    return folder;
  }

  void write(Application.Report report) throws IOException {
    FileSystem files = folder.getFileSystem(conf);
    files.mkdirs(folder);
    write(files, "run.hlog", report.hlog);
    write(files, "run.json", report.json);
    write(files, "report.html", report.page);
  }

  private void write(FileSystem files, String name, String text) throws IOException {
    Path path = new Path(folder, name);
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (files.getUri().getScheme().equals("file")) {
      java.nio.file.Path target = java.nio.file.Path.of(files.makeQualified(path).toUri().getPath());
      java.nio.file.Path part = target.resolveSibling(name + ".part");
      Files.write(part, bytes);
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      return;
    }
    try (OutputStream out = files.create(path, true)) {
      out.write(bytes);
    }
  }
}
