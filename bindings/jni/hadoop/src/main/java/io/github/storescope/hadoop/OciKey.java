// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.ArrayList;
import java.util.List;

/**
 * Every key of Oracle's connector, and what becomes of it here. docs/HADOOP.md has this table.
 *
 * <p>Each may be set for one bucket by the suffix {@code .BUCKET.NAMESPACE}, and has a deprecated twin, {@code fs.oraclebmc.…}.
 */
enum OciKey {
  // Where.
  HOSTNAME("fs.oci.client.hostname", Treatment.HONOURED, "", "`endpoint`; goes before the region, but for one in the URI"),
  REGION("fs.oci.client.regionCodeOrId", Treatment.HONOURED, "", "`region`"),
  MULTIREGION(
      "fs.oci.client.multiregion.enabled",
      Treatment.HONOURED,
      "false",
      "`oci://bucket@namespace.region`: that region, before all other keys"),
  REALM_ENDPOINT(
      "fs.oci.realmspecific.endpoint.template.enabled", Treatment.HONOURED, "false", "`realm_endpoint`; needs a region"),
  CUSTOM_CLIENT(
      "fs.oci.client.custom.client", Treatment.ACCEPTED, "", "classes of Oracle's SDK are not used, and not loaded"),

  // Who.
  AUTHENTICATOR(
      "fs.oci.client.custom.authenticator",
      Treatment.MAPPED,
      "",
      "Oracle's class names for instances, resources and OKE workloads set `auth`; other classes give out credentials, see "
          + "*Authentication*"),
  TENANCY("fs.oci.client.auth.tenantId", Treatment.HONOURED, "", "`tenancy`"),
  USER("fs.oci.client.auth.userId", Treatment.HONOURED, "", "`user`"),
  FINGERPRINT("fs.oci.client.auth.fingerprint", Treatment.HONOURED, "", "`fingerprint`"),
  KEY_FILE("fs.oci.client.auth.pemfilepath", Treatment.HONOURED, "", "`key_file`"),
  PASSPHRASE("fs.oci.client.auth.passphrase", Treatment.HONOURED, "", "`pass_phrase`; from a credential provider, too"),
  SESSION_TOKEN_ENABLED("fs.oci.client.auth.sessiontoken.enable", Treatment.HONOURED, "false", "`auth=security_token`"),
  SESSION_TOKEN_FILE(
      "fs.oci.client.auth.sessiontoken",
      Treatment.HONOURED,
      "~/.oci/sessions/DEFAULT/security_token",
      "`security_token_file`; read again when it changes"),
  DELEGATION_TOKEN_FILE(
      "fs.oci.delegation.token.filepath",
      Treatment.HONOURED,
      "",
      "`delegation_token_file`; the environment's `OCI_DELEGATION_TOKEN_FILE` goes before it; read again when it changes"),
  UPST_SERVICE("fs.oci.client.upst.tokenExchangeServicePrincipal", Treatment.LATER, "", Text.UPST),
  UPST_USER("fs.oci.client.upst.userPrincipal", Treatment.LATER, "", Text.UPST),
  UPST_ISSUER("fs.oci.client.upst.issuer", Treatment.LATER, "", Text.UPST),
  UPST_CLIENT_ID("fs.oci.client.upst.clientId", Treatment.LATER, "", Text.UPST),
  UPST_CLIENT_SECRET("fs.oci.client.upst.clientSecret", Treatment.LATER, "", Text.UPST),
  UPST_DOMAIN_URL("fs.oci.client.upst.domainUrl", Treatment.LATER, "", Text.UPST),
  KEYTAB("fs.oci.client.keytab.path", Treatment.LATER, "", Text.UPST),
  KINIT("fs.oci.client.kinit.internal.mode", Treatment.LATER, "false", Text.UPST),

  // How.
  PROXY_URI(
      "fs.oci.client.proxy.uri", Treatment.HONOURED, "", "`http_proxy` and `https_proxy`; any scheme but http means SOCKS 5"),
  PROXY_USER("fs.oci.client.proxy.username", Treatment.HONOURED, "", "the user in these"),
  PROXY_PASSWORD("fs.oci.client.proxy.password", Treatment.HONOURED, "", "the password in these; may be absent"),
  CONNECT_TIMEOUT("fs.oci.client.http.connectiontimeout", Treatment.HONOURED, "", "milliseconds: `connect_timeout`; 0 is a day"),
  READ_TIMEOUT(
      "fs.oci.client.http.readtimeout",
      Treatment.HONOURED,
      "",
      "milliseconds: `first_byte_timeout` and `stall_timeout`; 0 is a day"),
  READ_RETRIES("fs.oci.client.http.readmaxretries", Treatment.MAPPED, "10", Text.RETRIES),
  WRITE_RETRIES("fs.oci.client.http.writemaxretries", Treatment.MAPPED, "10", Text.RETRIES),
  RETRY_TIMEOUT(
      "fs.oci.client.retry.timeout.seconds",
      Treatment.HONOURED,
      "90",
      "`call_timeout`, and `attempts` so large that the time decides"),
  RETRY_RESET("fs.oci.client.retry.reset.threshold.seconds", Treatment.HONOURED, "16", "`backoff_cap`"),
  RETRY_JITTER(
      "fs.oci.client.retry.jitter.millis",
      Treatment.MAPPED,
      "200",
      "nothing to set: each wait is a random part of the back-off, from nothing to all of it"),
  CIRCUIT_BREAKER(
      "fs.oci.client.circuitbreaker.enabled",
      Treatment.MAPPED,
      "true",
      "the process's `retry_budget` stands for it; `false` lifts that"),
  POOL_SIZE("fs.oci.client.apache.max.connection.pool.size", Treatment.MAPPED, "50", "`max_connections`"),
  CLOSING_STRATEGY(
      "fs.oci.client.apache.connection.closing.strategy",
      Treatment.ACCEPTED,
      "IMMEDIATE",
      "requests ask for no more than is read, so that connections are kept"),
  DEFAULT_CONNECTOR("fs.oci.client.jersey.default.connector.enabled", Treatment.ACCEPTED, "false", "there is no Jersey here"),
  LOGGING("fs.oci.client.jersey.logging.enabled", Treatment.ACCEPTED, "false", Text.LOGGING),
  LOGGING_LEVEL("fs.oci.client.jersey.logging.level", Treatment.ACCEPTED, "WARNING", Text.LOGGING),
  LOGGING_VERBOSITY("fs.oci.client.jersey.logging.verbosity", Treatment.ACCEPTED, "PAYLOAD_ANY", Text.LOGGING),
  AUTO_CLOSE("fs.oci.object.autoclose.inputstream", Treatment.ACCEPTED, "true", "answers are always read to their end"),
  IO_THREADS_TIMEOUT("fs.oci.io.threads.timeout.seconds", Treatment.ACCEPTED, "600", "there are no pools of Java threads"),

  // Reading.
  BLOCK_SIZE("fs.oci.blocksize.mb", Treatment.HONOURED, "32", "the block size that is reported: it decides splits"),
  READ_AHEAD("fs.oci.io.read.ahead", Treatment.MAPPED, "false", "always on, and begins where reads are in order"),
  READ_AHEAD_BLOCK_SIZE("fs.oci.io.read.ahead.blocksize", Treatment.MAPPED, "6291456", Text.READ_AHEAD),
  READ_AHEAD_BLOCK_COUNT("fs.oci.io.read.ahead.blockcount", Treatment.MAPPED, "1", Text.READ_AHEAD),
  READ_AHEAD_THREADS("fs.oci.io.read.ahead.numthreads", Treatment.MAPPED, "16", Text.READ_AHEAD),
  FIRST_READ(
      "fs.oci.first.read.optimization.for.ttfb", Treatment.MAPPED, "false", "always: read-ahead begins small, and grows"),
  READ_IN_MEMORY(
      "fs.oci.io.read.inmemory",
      Treatment.HONOURED,
      "false",
      "a stream without a policy of its own reads the whole file; excludes `fs.oci.io.read.ahead`"),
  READ_STREAM("fs.oci.io.read.custom.stream", Treatment.ACCEPTED, "", "streams of others are not loaded"),
  PARQUET_CACHE("fs.oci.caching.object.parquet.enabled", Treatment.MAPPED, "false", Text.TAILS),
  PARQUET_CACHE_SPEC(
      "fs.oci.caching.object.parquet.spec", Treatment.MAPPED, "maximumSize=10240,expireAfterWrite=15m", Text.TAILS),
  STATUS_CACHE(
      "fs.oci.caching.object.metadata.enabled",
      Treatment.HONOURED,
      "false",
      "statuses of files are kept, and forgotten when this FileSystem changes them; a file that another one replaced meanwhile "
          + "fails when it is read"),
  STATUS_CACHE_SPEC(
      "fs.oci.caching.object.metadata.spec",
      Treatment.HONOURED,
      "maximumSize=1024,expireAfterWrite=5m",
      "how many, and for how long"),
  HEAD_COALESCING("fs.oci.head.object.coalescing.enabled", Treatment.ACCEPTED, "false", Text.COALESCING),
  HEAD_COALESCING_WAIT("fs.oci.object.coalescing.waittime.millis", Treatment.ACCEPTED, "200", Text.COALESCING),
  PAYLOAD_CACHE(
      "fs.oci.caching.object.payload.enabled",
      Treatment.MAPPED,
      "false",
      "always: blocks are kept in memory within `read_budget`, each of one version of its object"),
  PAYLOAD_CACHE_WEIGHT("fs.oci.caching.object.payload.maxweight.bytes", Treatment.ACCEPTED, "4294967296", Text.PAYLOAD),
  PAYLOAD_CACHE_SIZE("fs.oci.caching.object.payload.maxsize.count", Treatment.ACCEPTED, "", Text.PAYLOAD),
  PAYLOAD_CACHE_CAPACITY("fs.oci.caching.object.payload.initialcapacity.count", Treatment.ACCEPTED, "1024", Text.PAYLOAD),
  PAYLOAD_CACHE_ACCESS("fs.oci.caching.object.payload.expireafteraccess.seconds", Treatment.ACCEPTED, "", Text.PAYLOAD),
  PAYLOAD_CACHE_WRITE("fs.oci.caching.object.payload.expireafterwrite.seconds", Treatment.ACCEPTED, "600", Text.PAYLOAD),
  PAYLOAD_CACHE_POLICY(
      "fs.oci.caching.object.payload.consistencypolicy.class",
      Treatment.MAPPED,
      "com.oracle.bmc.hdfs.caching.StrongConsistencyPolicy",
      "always the strong one: bytes are of the version that was opened"),
  PAYLOAD_CACHE_DIRECTORY("fs.oci.caching.object.payload.directory", Treatment.ACCEPTED, "", Text.PAYLOAD),
  PAYLOAD_CACHE_STATS("fs.oci.caching.object.payload.recordstats.enabled", Treatment.ACCEPTED, "false", Text.PAYLOAD),
  PAYLOAD_CACHE_STATS_INTERVAL(
      "fs.oci.caching.object.payload.recordstats.timeinterval.seconds", Treatment.ACCEPTED, "60", Text.PAYLOAD),

  // Writing.
  WRITE_IN_MEMORY("fs.oci.io.write.inmemory", Treatment.MAPPED, "false", Text.STREAMS),
  WRITE_MULTIPART("fs.oci.io.write.multipart.inmemory", Treatment.MAPPED, "false", Text.STREAMS),
  WRITE_TASK_TIMEOUT(
      "fs.oci.io.write.multipart.inmemory.tasktimeout.seconds",
      Treatment.MAPPED,
      "900",
      "a wait for a free slot ends with the parts under way, whose own times are `stall_timeout` and `call_timeout`"),
  ALLOW_OVERWRITE("fs.oci.io.write.allow.overwrite", Treatment.HONOURED, "true", "`false`: a write is of `If-None-Match: *`"),
  MULTIPART_OVERWRITE(
      "fs.oci.io.write.multipart.overwrite", Treatment.HONOURED, "", "the old name of `fs.oci.io.write.allow.overwrite`"),
  WRITE_STREAM("fs.oci.io.write.custom.stream", Treatment.ACCEPTED, "", "streams of others are not loaded"),
  MULTIPART_ALLOWED(
      "fs.oci.client.multipart.allowed",
      Treatment.ACCEPTED,
      "true",
      "what is larger than a part is written by parts: nothing else is bounded in memory"),
  MULTIPART_THREADS("fs.oci.client.multipart.numthreads", Treatment.HONOURED, "", "`part_concurrency`, of each write"),
  MULTIPART_MIN_OBJECT(
      "fs.oci.client.multipart.minobjectsize.mb", Treatment.ACCEPTED, "", "writes up to the part size go by one request"),
  MULTIPART_PART_SIZE(
      "fs.oci.client.multipart.partsize.mb", Treatment.HONOURED, "128", "`part_size`, 16 MiB where this is not set"),
  MULTIPART_MIN_PART(
      "fs.oci.client.multipart.minpartsize.mb", Treatment.ACCEPTED, "", "deprecated, and of no effect there either"),

  // Directories.
  RENAME_THREADS(
      "fs.oci.rename.operation.numthreads", Treatment.HONOURED, "1", "objects renamed at once; 32 where this is not set"),
  DELETE_THREADS(
      "fs.oci.client.num.delete.threads", Treatment.MAPPED, "4", "16 single deletes at once, where batches are off"),
  BATCH_DELETE("fs.oci.client.batch.delete.enabled", Treatment.HONOURED, "false", "on where this is not set"),
  BATCH_DELETE_SIZE(
      "fs.oci.client.batch.delete.size",
      Treatment.HONOURED,
      "1000",
      "objects of one request of a BulkDelete, at most 1000; trees go by 1000"),
  LIST_PAGE("fs.oci.dir.recursive.list.fetch.size", Treatment.HONOURED, "1000", "entries of a page, at most 1000"),
  REQUIRE_MARKER("fs.oci.require.directory.marker", Treatment.HONOURED, "false", "a directory is there by its marker alone"),

  // FileSystems kept.
  FILESYSTEM_CACHE("fs.oci.caching.filesystem.enabled", Treatment.ACCEPTED, "false", Text.FILESYSTEMS),
  FILESYSTEM_CACHE_SIZE("fs.oci.caching.filesystem.maxsize.count", Treatment.ACCEPTED, "1024", Text.FILESYSTEMS),
  FILESYSTEM_CACHE_CAPACITY("fs.oci.caching.filesystem.initialcapacity.count", Treatment.ACCEPTED, "1024", Text.FILESYSTEMS),
  FILESYSTEM_CACHE_ACCESS("fs.oci.caching.filesystem.expireafteraccess.seconds", Treatment.ACCEPTED, "", Text.FILESYSTEMS),
  FILESYSTEM_CACHE_WRITE("fs.oci.caching.filesystem.expireafterwrite.seconds", Treatment.ACCEPTED, "1800", Text.FILESYSTEMS),

  // Monitoring.
  MONITOR_PLUGINS(
      "fs.oci.mon.consumer.plugins",
      Treatment.ACCEPTED,
      "com.oracle.bmc.hdfs.monitoring.OCIMonitorPlugin",
      "plugins of others are not loaded; `storescope.profile.path` and IOStatistics tell all that was measured"),
  MONITOR_CLUSTER("fs.oci.mon.grouping.cluster.id", Treatment.LATER, "", Text.MONITORING),
  MONITOR_ENDPOINT("fs.oci.mon.telemetry.ingestion.endpoint", Treatment.LATER, "", Text.MONITORING),
  MONITOR_COMPARTMENT("fs.oci.mon.compartment.ocid", Treatment.LATER, "", Text.MONITORING),
  MONITOR_GROUP("fs.oci.mon.rg.name", Treatment.LATER, "apicallstest", Text.MONITORING),
  MONITOR_NAMESPACE("fs.oci.mon.ns.name", Treatment.LATER, "ocihdfsconnector", Text.MONITORING),
  MONITOR_BUCKET("fs.oci.mon.bucket.level.enabled", Treatment.LATER, "true", Text.MONITORING),
  MONITOR_INTERVAL("fs.oci.emit.thread.poll.interval.seconds", Treatment.LATER, "1", Text.MONITORING),
  MONITOR_BACKLOG("fs.oci.mon.max.backlog.before.drop", Treatment.LATER, "150000", Text.MONITORING),

  // Hadoop's own.
  CHECKSUM_MODE(
      "dfs.checksum.combine.mode",
      Treatment.HONOURED,
      "MD5MD5CRC",
      "`COMPOSITE_CRC`: getFileChecksum tells the object's CRC32C, which every write sends and compares"),
  TMP_DIR("hadoop.tmp.dir", Treatment.MAPPED, "", "nothing is spooled: writes go out part by part");

  /** What becomes of a key. */
  enum Treatment {
    /** It does what it says. */
    HONOURED("honoured"),
    /** Something of ours does it. */
    MAPPED("mapped"),
    /** No effect, and one warning where it is set to something else than its default. */
    ACCEPTED("accepted"),
    /** Not built yet: one warning, and an error where the work cannot be done without it. */
    LATER("later");

    final String word;

    Treatment(String word) {
      this.word = word;
    }
  }

  /** What several keys become. */
  private static final class Text {
    static final String UPST = "of the UPST authenticator alone, which is not there yet";
    static final String RETRIES =
        "`attempts`: the larger of the two and the first; not where `fs.oci.client.retry.timeout.seconds` is set";
    static final String LOGGING = "the logger `io.github.storescope` tells requests at level DEBUG";
    static final String READ_AHEAD = "nothing to set: it grows with what is read in order, and is measured";
    static final String TAILS =
        "always: the end of a columnar file is kept for all streams of the process, by ETag, within `read_budget`";
    static final String COALESCING = "a status is one request, and `openFile` with a status none";
    static final String PAYLOAD = "nothing is kept on disk";
    static final String STREAMS = "always: writes go out part by part while they are written";
    static final String FILESYSTEMS = "Hadoop keeps FileSystems; clients and connections are shared by all of one process";
    static final String MONITORING = "nothing is sent to OCI Monitoring yet; `storescope.profile.path` tells more";
  }

  /** The key. */
  final String key;

  final Treatment treatment;
  /** Oracle's default; empty for none. */
  final String fallback;
  /** What it becomes, in Markdown. */
  final String becomes;

  OciKey(String key, Treatment treatment, String fallback, String becomes) {
    this.key = key;
    this.treatment = treatment;
    this.fallback = fallback;
    this.becomes = becomes;
  }

  private static final String PREFIX = "fs.oci.";
  private static final String OLD_PREFIX = "fs.oraclebmc.";

  /** The deprecated key that says the same; null for Hadoop's own. */
  String twin() {
    if (this == ALLOW_OVERWRITE) {
      return MULTIPART_OVERWRITE.key;
    }
    return key.startsWith(PREFIX) ? OLD_PREFIX + key.substring(PREFIX.length()) : null;
  }

  /** Whether a name is a key of this table, or of one bucket's. */
  private boolean covers(String name) {
    return name.equals(key) || name.equals(twin()) || isOfBucket(name);
  }

  /** Whether a name is this key with {@code .BUCKET.NAMESPACE} behind it. */
  private boolean isOfBucket(String name) {
    return name.startsWith(key + ".") && name.indexOf('.', key.length() + 1) > 0;
  }

  /** Keys that Hadoop has for any scheme, and ours. */
  private static boolean isGeneral(String name) {
    return name.endsWith(".impl") || name.endsWith(".impl.disable.cache") || name.equals(CREATE_PERFORMANCE);
  }

  /** As S3A has it: create does not look at what is there. */
  static final String CREATE_PERFORMANCE = "fs.oci.create.performance";

  /** Whether a name begins as those of this table, but is none. */
  static boolean isUnknown(String name) {
    if (!(name.startsWith(PREFIX) || name.startsWith(OLD_PREFIX)) || isGeneral(name)) {
      return false;
    }
    for (OciKey known : values()) {
      if (known.covers(name)) {
        return false;
      }
    }
    return true;
  }

  /** The known name that is most like another. */
  static String nearest(String name) {
    List<String> known = new ArrayList<>(List.of(CREATE_PERFORMANCE));
    for (OciKey one : values()) {
      known.add(one.key);
    }
    String sought = name.startsWith(OLD_PREFIX) ? PREFIX + name.substring(OLD_PREFIX.length()) : name;
    String best = known.get(0);
    for (String one : known) {
      if (distance(one, sought) < distance(best, sought)) {
        best = one;
      }
    }
    return best;
  }

  /** Letters to insert, remove or replace. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
