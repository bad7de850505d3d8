// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;

/**
 * What an executor has recorded since it last told: a message to the driver.
 *
 * <p>As bytes: a magic number and a version, four and two bytes, big-endian; then, deflated: the executor, the message's number
 * from 0, and its parts. Strings are those of {@link DataOutputStream#writeUTF}. Bytes and not a Java object, so that a driver
 * with another version of the jar can say so.
 */
final class Delta {

  /** A stage's part. */
  static final class Part {

    /** In place of a stage's number: what no task of an executor asked for. */
    static final int OUTSIDE_OF_TASKS = -1;
    /** In place of a stage's number: what the driver asked for. */
    static final int DRIVER = -2;
    /** In place of a stage's number: what Oracle's connector tells of itself. */
    static final int ORACLE = -3;

    final int stage;
    final int attempt;
    /** Tasks that have ended, their time and that of those that run, how long they waited: times in nanoseconds. */
    final long tasks;
    final long runNanos;
    final long waitedNanos;
    /** An {@code .hlog}, or nothing. */
    final byte[] hlog;

    Part(int stage, int attempt, long[] sums, byte[] hlog) {
      this.stage = stage;
      this.attempt = attempt;
      tasks = sums[0];
      runNanos = sums[1];
      waitedNanos = sums[2];
      this.hlog = hlog;
    }
  }

  private static final int MAGIC = 0x53535350;
  private static final short VERSION = 1;
  /** Parts of a message are cut off here: one never reaches {@code spark.rpc.message.maxSize}. */
  private static final int MOST_BYTES = 1 << 20;

  final String executor;
  final long number;
  final List<Part> parts;

  Delta(String executor, long number, List<Part> parts) {
    this.executor = executor;
    this.number = number;
    this.parts = parts;
  }

  /** As many first parts as one message may hold, at least one. */
  static List<Part> fitting(List<Part> parts) {
    long bytes = 0;
    int count = 0;
    while (count < parts.size() && (count == 0 || bytes + parts.get(count).hlog.length <= MOST_BYTES)) {
      bytes += parts.get(count).hlog.length;
      count++;
    }
    return parts.subList(0, count);
  }

  byte[] encode() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream head = new DataOutputStream(bytes)) {
      head.writeInt(MAGIC);
      head.writeShort(VERSION);
      try (DataOutputStream out = new DataOutputStream(new DeflaterOutputStream(head))) {
        out.writeUTF(executor);
        out.writeLong(number);
        out.writeInt(parts.size());
        for (Part part : parts) {
          out.writeInt(part.stage);
          out.writeInt(part.attempt);
          out.writeLong(part.tasks);
          out.writeLong(part.runNanos);
          out.writeLong(part.waitedNanos);
          out.writeInt(part.hlog.length);
          out.write(part.hlog);
        }
      }
    } catch (IOException e) {
      throw new IllegalStateException("memory takes it", e);
    }
    return bytes.toByteArray();
  }

  /**
   * Reads a message.
   *
   * @throws IOException if it is none of this version, with what it is
   */
  static Delta decode(byte[] bytes) throws IOException {
    try (DataInputStream head = new DataInputStream(new ByteArrayInputStream(bytes))) {
      if (bytes.length < 6 || head.readInt() != MAGIC) {
        throw new IOException("it is no message of storescope's plugin");
      }
      short version = head.readShort();
      if (version != VERSION) {
        throw new IOException(
            "it is of version " + version + ", this driver reads version " + VERSION
                + ": give driver and executors the same jar");
      }
      return read(new DataInputStream(new InflaterInputStream(head)));
    }
  }

  private static Delta read(DataInputStream in) throws IOException {
    String executor = in.readUTF();
    long number = in.readLong();
    int count = in.readInt();
    List<Part> parts = new ArrayList<>();
    for (int at = 0; at < count; at++) {
      int stage = in.readInt();
      int attempt = in.readInt();
      long[] sums = {in.readLong(), in.readLong(), in.readLong()};
      int length = in.readInt();
      byte[] hlog = in.readNBytes(Math.max(length, 0));
      if (hlog.length != length) {
        throw new IOException("it ends in the middle");
      }
      parts.add(new Part(stage, attempt, sums, hlog));
    }
    if (in.read() >= 0) {
      throw new IOException("it holds more than its parts");
    }
    return new Delta(executor, number, parts);
  }
}
