// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

/**
 * The keys of Hadoop's S3A that count here, and what becomes of them. docs/HADOOP.md has this table. Each may be set for one
 * bucket: {@code fs.s3a.bucket.BUCKET.…}.
 */
enum S3Key {
  ENDPOINT("endpoint", "`endpoint`; one of AWS's own names a region and no more"),
  REGION("endpoint.region", "`region`"),
  SSL("connection.ssl.enabled", "whether an endpoint without a scheme is of https; true where this is not set"),
  PATH_STYLE("path.style.access", "`s3_path_style`; `auto` where this is not set"),
  ACCESS_KEY("access.key", "`access_key_id`; from a credential provider, too"),
  SECRET_KEY("secret.key", "`secret_access_key`; from a credential provider, too"),
  SESSION_TOKEN("session.token", "`session_token`; from a credential provider, too"),
  PROVIDERS("aws.credentials.provider", "the principal, see *Authentication*"),
  PROXY_HOST("proxy.host", "`http_proxy` and `https_proxy`"),
  PROXY_PORT("proxy.port", "the port in these; 80 where this is not set"),
  PROXY_USER("proxy.username", "the user in these"),
  PROXY_PASSWORD("proxy.password", "the password in these; from a credential provider, too"),
  CONNECT_TIMEOUT("connection.establish.timeout", "`connect_timeout`; 0 is a day"),
  READ_TIMEOUT("connection.timeout", "`first_byte_timeout` and `stall_timeout`; 0 is a day"),
  CONNECTIONS("connection.maximum", "`max_connections`"),
  PART_SIZE("multipart.size", "`part_size`, at least 5M; 16 MiB where this is not set"),
  PART_CONCURRENCY("fast.upload.active.blocks", "`part_concurrency`"),
  BLOCK_SIZE("block.size", "the block size that is reported: it decides splits; 32M where this is not set"),
  PAGE_SIZE("paging.maximum", "entries of a page of a listing, at most 1000"),
  BATCH_DELETE("multiobjectdelete.enable", "whether many objects are deleted by one request; true where this is not set"),
  BATCH_DELETE_SIZE("bulk.delete.page.size", "objects of such a request, at most 1000; 1000 where this is not set"),
  CREATE_PERFORMANCE("create.performance", "create looks at nothing before it writes"),
  PERFORMANCE_FLAGS("performance.flags", "`create` or `*`: the same");

  static final String PREFIX = "fs.s3a.";

  private final String name;
  /** What it becomes, in Markdown. */
  final String becomes;

  S3Key(String name, String becomes) {
    this.name = name;
    this.becomes = becomes;
  }

  /** The key for all buckets. */
  String key() {
    return PREFIX + name;
  }

  /** The key for one bucket, which goes before that. */
  String key(String bucket) {
    return PREFIX + "bucket." + bucket + "." + name;
  }
}
