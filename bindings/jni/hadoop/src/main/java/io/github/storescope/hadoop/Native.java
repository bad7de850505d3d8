// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The core, in Rust. Each handle is a slot and a generation: one that was closed, or was never given, is an {@link
 * IOException}, never a crash. Failures arrive as the exceptions that {@link Failures} makes.
 *
 * <p>Keys are object names below the bucket, without a leading {@code /}. Calls block, and end with {@link
 * java.io.InterruptedIOException} when their thread is interrupted, but for those that close or abort.
 *
 * <p>{@link Library#load} comes before the first call.
 */
final class Native {

  /** Reads of unknown shape. */
  static final int POLICY_ADAPTIVE = 0;
  /** Front to back. */
  static final int POLICY_SEQUENTIAL = 1;
  /** Here and there: nothing is read ahead. */
  static final int POLICY_RANDOM = 2;
  /** Ranges that are told. */
  static final int POLICY_VECTOR = 3;
  /** All of it, soon. */
  static final int POLICY_WHOLE_FILE = 4;
  /** A columnar file: its end first. */
  static final int POLICY_PARQUET = 5;

  /** Replaces what is there. */
  static final int MODE_OVERWRITE = 0;
  /** Fails with FileAlreadyExistsException where something is. */
  static final int MODE_CREATE = 1;

  private Native() {}

  // The library.

  /** The version of the native library, which must be the jar's. */
  static native String version();

  /** Writes all that this process has recorded as an .hlog file. */
  static native void writeProfile(String path) throws IOException;

  /** What this process has recorded, in the form of {@link #statistics}. */
  static native String processStatistics();

  /**
   * The histogram of a phase of all that ended well in this process, such as {@code attempt}, {@code get}, {@code ttfb}: count,
   * sum, smallest and largest value, and for each bucket with values its lowest value, its highest value and how many.
   */
  static native long[] processBuckets(String level, String operation, String phase);

  /**
   * Writes what the trace and the metrics ({@code trace}, {@code metrics_log}, {@code otlp_endpoint}) still hold; waits some
   * seconds at most.
   */
  static native void flush();

  /** What the core has logged since the last call: {@code W} or {@code D}, then the text. */
  static native String[] takeLog(boolean debug);

  /**
   * Keeps certificates, in DER, for stores to be opened: the number by which their setting {@code trusted} names them. Equal
   * ones have the same number.
   */
  static native long trust(byte[][] certificates);

  // Scopes: what is recorded under one name, over all stores.

  /** A scope. */
  static native long openScope(String name);

  /** Closes it; what was opened in it goes on, and is not taken any more. */
  static native void closeScope(long scope);

  /** The same bucket as a store; what is asked of it by this handle is recorded in the scope, too. */
  static native long storeWithin(long store, long scope) throws IOException;

  /**
   * Records a call of a client that is not ours in a scope; nothing where the scope is closed.
   *
   * @param operation the place of a {@link ForeignCall.Operation}, {@code outcome} that of a {@link ForeignCall.Outcome}
   * @param bytes of payload; below zero for none
   */
  static native void recordCall(long scope, int operation, int outcome, long nanos, long bytes);

  /** What a scope has recorded since the last call, as an .hlog; empty where that is nothing. */
  static native byte[] takeScope(long scope) throws IOException;

  /**
   * What Python workers have recorded since the last call, by task: three strings for each, the task's attempt id, how long it
   * waited in nanoseconds, and an .hlog.
   */
  static native String[] takeWorkers(String folder);

  // What several processes have recorded, by stage of a Spark application.

  /** An application. */
  static native long openGathered();

  /** Drops it. */
  static native void closeGathered(long gathered);

  /**
   * Adds what an executor sends.
   *
   * @param stage its number; below zero for what no task asked for: -3 Oracle's connector, -2 the driver, -1 executors
   * @param sums tasks that have ended, the time of tasks and how long they waited, both in nanoseconds
   * @param hlog what {@link #takeScope} gave there
   */
  static native void gather(long gathered, int stage, int attempt, String executor, long[] sums, byte[] hlog)
      throws IOException;

  /**
   * Tells what the driver knows of a stage, in place of what it told before.
   *
   * @param numbers its job, from 1 on, 0 for none; its time so far in milliseconds; and tasks: that succeeded, failed, were
   *     killed, were speculative
   */
  static native void tellStage(long gathered, int stage, int attempt, String about, long[] numbers)
      throws IOException;

  /** A page, run.json and run.hlog of it, as `storescope report` makes and reads them. */
  static native String[] report(long gathered, String url, String title, long startedMillis, String[] notes)
      throws IOException;

  /** A line for each stage. */
  static native String[] stageLines(long gathered) throws IOException;

  // Settings.

  /**
   * The core's table of settings: three strings for each, its name, {@code secret} or an empty text, and its environment
   * variables with a space between.
   */
  static native String[] settings();

  /** The OCI configuration files that are looked for where nothing names one; {@code ~/} stands for the home folder. */
  static native String[] configFiles();

  // Credentials that a Java object gives out.

  /** Where one store asks for them, and a thread answers. */
  static native long openCredentials();

  /** Waits until some are asked for; false where they will not be any more. */
  static native boolean awaitCredentials(long credentials);

  /**
   * Answers what {@link #awaitCredentials} waited for.
   *
   * @param kind {@code key_id}, {@code token} or {@code access_key}: what the id is
   * @param more a passphrase or session token; may be null
   * @param ends milliseconds since 1970; below zero for never
   */
  static native void giveCredential(
      long credentials, String kind, String id, String secret, String more, long ends, String onBehalfOf);

  /** Answers that there are none; {@link Failures#of} is given the number. */
  static native void failCredential(long credentials, long number, String why);

  /** Ends it. */
  static native void closeCredentials(long credentials);

  // Stores: one bucket each.

  /**
   * A bucket. No I/O.
   *
   * @param url {@code oci://bucket@namespace/} or {@code s3://bucket/}
   * @param settings names and values of docs/CONFIG.md, in turn
   * @param scope the name of what is recorded
   * @param credentials who gives out what requests are signed with, of {@link #openCredentials}; 0 for what the settings name
   */
  static native long openStore(String url, String[] settings, String scope, long credentials) throws IOException;

  /** Closes a store; what was opened of it goes on. */
  static native void closeStore(long store);

  /** How many stores this process has open. */
  static native int stores();

  /** How many handles this process has open: of stores, readers, writers, listings and all others. */
  static native int handles();

  /** Whether the service renames by itself, each object at once. */
  static native boolean renamesAtomically(long store) throws IOException;

  /**
   * What a store, reader or writer has recorded: a line each, {@code name value}, values whole numbers.
   */
  static native String statistics(long handle) throws IOException;

  // Objects.

  /** What an object is; null where there is none. One HEAD. */
  static native Entries head(long store, String key) throws IOException;

  /**
   * What an object is, by a GET of its last {@code tail} bytes, which a reader opened soon will find there; by a HEAD where
   * they are there already. Null where there is no object. One request.
   */
  static native Entries headWithTail(long store, String key, int tail) throws IOException;

  /** The first entries below a prefix, at most so many, at any depth. One LIST. */
  static native Entries first(long store, String prefix, int most) throws IOException;

  /**
   * A listing, in byte order of the names.
   *
   * @param startAfter the listing begins behind this key; may be null
   * @param flat at any depth; otherwise what lies deeper is told once, as a prefix
   * @param pageSize the most entries of a page; 0 for the store's own
   */
  static native long openListing(long store, String prefix, String startAfter, boolean flat, int pageSize)
      throws IOException;

  /** The next page, which was asked for ahead; null after the last. */
  static native Entries nextPage(long listing) throws IOException;

  /** Ends a listing. */
  static native void closeListing(long listing);

  /** Writes a small object by one request; what it is. */
  static native Entries put(long store, String key, byte[] bytes, int mode) throws IOException;

  /** Removes an object; whether there was one. S3 does not tell, and says true. */
  static native boolean delete(long store, String key) throws IOException;

  /**
   * Removes objects by batches.
   *
   * @param batched by requests for many; otherwise one each
   * @return for each key, null where it is gone, else what went wrong
   */
  static native String[] deleteMany(long store, String[] keys, boolean batched) throws IOException;

  /** Removes all objects whose names begin with a prefix; how many. Fails if any is left. */
  static native long deleteTree(long store, String prefix, boolean batched) throws IOException;

  /**
   * Gives an object another name.
   *
   * @param size its size and {@code etag} its ETag, if they are known (-1, null): saves a HEAD
   * @param mode {@link #MODE_OVERWRITE} replaces what has the new name, {@link #MODE_CREATE} fails with
   *     FileAlreadyExistsException: the service decides by the request itself, where it renames by one
   */
  static native Entries rename(long store, String from, String to, long size, String etag, int mode)
      throws IOException;

  /**
   * Gives all objects whose names begin with {@code from} names that begin with {@code to}, none of which may be taken; how
   * many. Each is renamed whole or not at all, {@code width} at a time. The object named {@code from} itself comes last and
   * replaces the one named {@code to}. After the first failure no rename begins; the exception says how many were renamed,
   * and is a FileNotFoundException or FileAlreadyExistsException only where none was.
   *
   * @param resumed whether an earlier call was not finished: on S3, objects that it copied and did not remove are removed
   */
  static native long renameTree(long store, String from, String to, int width, boolean resumed)
      throws IOException;

  // Writers. Of one thread at a time.

  /**
   * A write by as many requests as it takes; nothing is seen before {@link #finish}.
   *
   * @param size the object's size if it is known, else -1
   * @param about names and values in turn: content-type, content-encoding, content-language, content-disposition,
   *     cache-control, and user metadata under {@code meta-NAME}
   */
  static native long openWriter(long store, String key, int mode, long size, String[] about) throws IOException;

  /** Takes bytes; waits where as many parts are under way as may be. */
  static native void write(long writer, byte[] bytes, int offset, int length) throws IOException;

  /** Makes the object; what it is. Closes the writer. */
  static native Entries finish(long writer) throws IOException;

  /** Discards what was written, at the store, too. Closes the writer. */
  static native void abort(long writer) throws IOException;

  // Writes by parts that others may go on with.

  /** Begins one; its id. */
  static native String beginUpload(long store, String key) throws IOException;

  /** Writes a part, numbered from 1; its tag. */
  static native String putPart(long store, String key, String id, int number, byte[] bytes, int length)
      throws IOException;

  /** Makes the object of parts. */
  static native Entries completeUpload(long store, String key, String id, int[] numbers, String[] tags)
      throws IOException;

  /** Discards one. FileNotFoundException where there is none of this id. */
  static native void abortUpload(long store, String key, String id) throws IOException;

  /** Those that were begun below a prefix: keys and ids, in turn. */
  static native String[] uploads(long store, String prefix) throws IOException;

  // Readers. Of any number of threads.

  /**
   * An object under reading: one version of it. No I/O.
   *
   * @param size its size, or -1
   * @param etag its ETag, or null
   */
  static native long openReader(long store, String key, long size, String etag, int policy) throws IOException;

  /** What the object is, by the first answer, or a HEAD. */
  static native Entries readerStatus(long reader) throws IOException;

  /** Fills the bytes from a position on; fewer only at the object's end, -1 there. */
  static native int read(long reader, long position, byte[] into, int offset, int length) throws IOException;

  /** The same into a direct buffer, at an absolute offset of it. */
  static native int readDirect(long reader, long position, ByteBuffer into, int offset, int length)
      throws IOException;

  /**
   * Begins reads of ranges, each into its target: all of its range, from a place of the target on. Those that end are told
   * by {@link #completed}, by the number {@code first} and those after it.
   *
   * @param into direct buffers and {@code byte[]}s
   */
  static native void readRanges(
      long reader, long[] offsets, int[] lengths, Object[] into, int[] starts, long first) throws IOException;

  /**
   * Waits for reads of ranges to end, and fills heap buffers: how many of the two arrays it filled, 0 after a second without
   * any.
   *
   * @param failures null for each that ended well
   */
  static native int completed(long[] numbers, Throwable[] failures);

  /** Drops what is kept of the object; it can still be read. */
  static native void unbuffer(long reader);

  /** Closes a reader; what is under way ends with an error. */
  static native void closeReader(long reader);
}
