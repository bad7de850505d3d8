// SPDX-License-Identifier: Apache-2.0
package io.storescope.interop;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.oracle.bmc.ClientConfiguration;
import com.oracle.bmc.auth.AbstractAuthenticationDetailsProvider;
import com.oracle.bmc.auth.ConfigFileAuthenticationDetailsProvider;
import com.oracle.bmc.auth.SessionTokenAuthenticationDetailsProvider;
import com.oracle.bmc.circuitbreaker.CircuitBreakerConfiguration;
import com.oracle.bmc.model.BmcException;
import com.oracle.bmc.model.Range;
import com.oracle.bmc.objectstorage.ObjectStorage;
import com.oracle.bmc.objectstorage.ObjectStorageClient;
import com.oracle.bmc.objectstorage.model.BatchDeleteObjectIdentifier;
import com.oracle.bmc.objectstorage.model.BatchDeleteObjectsDetails;
import com.oracle.bmc.objectstorage.model.BatchDeleteObjectsResult;
import com.oracle.bmc.objectstorage.model.ChecksumAlgorithm;
import com.oracle.bmc.objectstorage.model.CommitMultipartUploadDetails;
import com.oracle.bmc.objectstorage.model.CommitMultipartUploadPartDetails;
import com.oracle.bmc.objectstorage.model.CopyObjectDetails;
import com.oracle.bmc.objectstorage.model.CreateBucketDetails;
import com.oracle.bmc.objectstorage.model.CreateMultipartUploadDetails;
import com.oracle.bmc.objectstorage.model.ListObjects;
import com.oracle.bmc.objectstorage.model.MultipartUpload;
import com.oracle.bmc.objectstorage.model.MultipartUploadPartSummary;
import com.oracle.bmc.objectstorage.model.ObjectSummary;
import com.oracle.bmc.objectstorage.model.RenameObjectDetails;
import com.oracle.bmc.objectstorage.model.WorkRequest;
import com.oracle.bmc.objectstorage.requests.AbortMultipartUploadRequest;
import com.oracle.bmc.objectstorage.requests.BatchDeleteObjectsRequest;
import com.oracle.bmc.objectstorage.requests.CommitMultipartUploadRequest;
import com.oracle.bmc.objectstorage.requests.CopyObjectRequest;
import com.oracle.bmc.objectstorage.requests.CreateBucketRequest;
import com.oracle.bmc.objectstorage.requests.CreateMultipartUploadRequest;
import com.oracle.bmc.objectstorage.requests.DeleteBucketRequest;
import com.oracle.bmc.objectstorage.requests.DeleteObjectRequest;
import com.oracle.bmc.objectstorage.requests.GetBucketRequest;
import com.oracle.bmc.objectstorage.requests.GetNamespaceRequest;
import com.oracle.bmc.objectstorage.requests.GetObjectRequest;
import com.oracle.bmc.objectstorage.requests.GetWorkRequestRequest;
import com.oracle.bmc.objectstorage.requests.HeadBucketRequest;
import com.oracle.bmc.objectstorage.requests.HeadObjectRequest;
import com.oracle.bmc.objectstorage.requests.ListBucketsRequest;
import com.oracle.bmc.objectstorage.requests.ListMultipartUploadPartsRequest;
import com.oracle.bmc.objectstorage.requests.ListMultipartUploadsRequest;
import com.oracle.bmc.objectstorage.requests.ListObjectsRequest;
import com.oracle.bmc.objectstorage.requests.ListWorkRequestErrorsRequest;
import com.oracle.bmc.objectstorage.requests.PutObjectRequest;
import com.oracle.bmc.objectstorage.requests.RenameObjectRequest;
import com.oracle.bmc.objectstorage.requests.UploadPartRequest;
import com.oracle.bmc.objectstorage.responses.GetObjectResponse;
import com.oracle.bmc.objectstorage.responses.HeadObjectResponse;
import com.oracle.bmc.objectstorage.responses.ListMultipartUploadPartsResponse;
import com.oracle.bmc.objectstorage.responses.ListObjectsResponse;
import com.oracle.bmc.objectstorage.responses.PutObjectResponse;
import com.oracle.bmc.objectstorage.responses.UploadPartResponse;
import com.oracle.bmc.objectstorage.transfer.DownloadConfiguration;
import com.oracle.bmc.objectstorage.transfer.DownloadManager;
import com.oracle.bmc.objectstorage.transfer.UploadConfiguration;
import com.oracle.bmc.objectstorage.transfer.UploadManager;
import com.oracle.bmc.retrier.RetryConfiguration;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Oracle's released Java SDK by one of the server's endpoints. Before all else it comes with a wrong key and must be
 * refused; after all else the server's record must hold what it did.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class JavaSdk {
    private static final String AGENT = "Oracle-JavaSDK/3.86.1";

    /** At least so many requests of each kind, or the SDK was not at work. */
    private static final Map<String, Integer> COMMITTED =
            Map.of("GET", 150, "HEAD", 25, "PUT", 55, "POST", 15, "DELETE", 24);

    private static final int MIB = 1 << 20;

    private final Server server = Server.running();
    private final String transport;
    private final String endpoint;
    private final String namespace;
    private final String bucket;
    private ObjectStorage client;
    private int refused;

    JavaSdk(String transport, String endpoint) {
        this.transport = transport;
        this.endpoint = server.told(endpoint);
        this.namespace = server.told("namespace");
        this.bucket = "java-" + transport + "-" + System.nanoTime();
    }

    private ObjectStorage client(String profile) {
        try {
            String config = server.told("config_file");
            AbstractAuthenticationDetailsProvider who = profile.equals("SESSION") || profile.equals("EXPIRED")
                    ? new SessionTokenAuthenticationDetailsProvider(config, profile)
                    : new ConfigFileAuthenticationDetailsProvider(config, profile);
            // Its own retries would hide a fault of the server.
            ClientConfiguration once = ClientConfiguration.builder()
                    .retryConfiguration(RetryConfiguration.NO_RETRY_CONFIGURATION)
                    .circuitBreakerConfiguration(CircuitBreakerConfiguration.builder()
                            .recordExceptions(Collections.emptyList())
                            .build())
                    .build();
            return ObjectStorageClient.builder()
                    .configuration(once)
                    .endpoint(endpoint)
                    .build(who);
        } catch (Exception wrong) {
            throw new IllegalStateException(wrong);
        }
    }

    private static BmcException error(int status, String code, Executable call) {
        BmcException caught = assertThrows(BmcException.class, call);
        assertEquals(status, caught.getStatusCode(), caught.getMessage());
        if (code != null) {
            assertEquals(code, caught.getServiceCode(), caught.getMessage());
        }
        assertNotNull(caught.getOpcRequestId());
        return caught;
    }

    /** The lines of this SDK by this transport. */
    private List<String> seen() throws Exception {
        String tls = "\"tls\":" + transport.equals("tls");
        return server.record().stream()
                .filter(line -> line.contains(tls) && line.contains("\"user_agent\":\"" + AGENT))
                .collect(Collectors.toList());
    }

    @BeforeAll
    void aWrongKeyIsRefused() throws Exception {
        int before = seen().size();
        ObjectStorage wrong = client("WRONG");
        error(401, "NotAuthenticated", () -> wrong.getNamespace(GetNamespaceRequest.builder().build()));
        error(401, "NotAuthenticated", () -> put(wrong, "never", "x".getBytes(UTF_8)));
        List<String> lines = seen();
        assertEquals(before + 2, lines.size());
        refused = 2;
        assertTrue(lines.stream().skip(before).allMatch(line -> line.contains("\"status\":401")), lines.toString());

        client = client("DEFAULT");
        client.createBucket(CreateBucketRequest.builder()
                .namespaceName(namespace)
                .createBucketDetails(CreateBucketDetails.builder()
                        .name(bucket)
                        .compartmentId(server.told("compartment"))
                        .build())
                .build());
    }

    @AfterAll
    void theRecordShowsTheSdkAtWork() throws Exception {
        List<String> lines = seen();
        Map<String, Integer> done = new HashMap<>();
        for (String method : COMMITTED.keySet()) {
            String field = "\"method\":\"" + method + "\"";
            done.put(method, (int) lines.stream().filter(line -> line.contains(field)).count());
        }
        System.out.println(transport + ": the record has of " + AGENT + " " + done);
        COMMITTED.forEach((method, least) ->
                assertTrue(done.get(method) >= least, method + ": fewer than " + least + " in " + done));
        assertTrue(lines.stream().filter(line -> line.contains("\"status\":401")).count() > refused);
        assertTrue(lines.stream().anyMatch(line -> line.contains("\"range\":\"bytes=")));
    }

    // Objects, in words

    private PutObjectResponse put(ObjectStorage by, String name, byte[] body) {
        return by.putObject(PutObjectRequest.builder()
                .namespaceName(namespace)
                .bucketName(bucket)
                .objectName(name)
                .contentLength((long) body.length)
                .putObjectBody(new ByteArrayInputStream(body))
                .build());
    }

    private PutObjectResponse put(String name, byte[] body) {
        return put(client, name, body);
    }

    private GetObjectRequest.Builder getting(String name) {
        return GetObjectRequest.builder().namespaceName(namespace).bucketName(bucket).objectName(name);
    }

    private static byte[] bytes(GetObjectResponse got) {
        try (InputStream body = got.getInputStream()) {
            return body.readAllBytes();
        } catch (IOException broken) {
            throw new IllegalStateException(broken);
        }
    }

    private byte[] get(String name) {
        return bytes(client.getObject(getting(name).build()));
    }

    private HeadObjectResponse head(String name) {
        return client.headObject(HeadObjectRequest.builder()
                .namespaceName(namespace)
                .bucketName(bucket)
                .objectName(name)
                .build());
    }

    private void delete(String name) {
        client.deleteObject(DeleteObjectRequest.builder()
                .namespaceName(namespace)
                .bucketName(bucket)
                .objectName(name)
                .build());
    }

    private ListObjectsRequest.Builder listing() {
        return ListObjectsRequest.builder().namespaceName(namespace).bucketName(bucket);
    }

    private static List<String> names(ListObjects listed) {
        return listed.getObjects().stream().map(ObjectSummary::getName).collect(Collectors.toList());
    }

    private static String md5(byte[] body) throws Exception {
        return Base64.getEncoder().encodeToString(MessageDigest.getInstance("MD5").digest(body));
    }

    private static byte[] random(int size) {
        byte[] body = new byte[size];
        new Random(size).nextBytes(body);
        return body;
    }

    static List<String> awkward() {
        List<String> names = new ArrayList<>(List.of(
                "a b", "a+b", "50%", "%2F", "ü/é", "e\u0301", "a//b", "x?y#z", "q=1&r=2", "[x]{y}", "~tilde!(1)*'",
                "\uD83E\uDD80", "@:;,$", "tab\there", "\"quoted\"", "trailing/", "日本語", "back\\slash"));
        names.add("x".repeat(1024));
        names.add("é".repeat(512));
        return names;
    }

    // Tests

    @Test
    void tokens() {
        ObjectStorage session = client("SESSION");
        assertEquals(namespace, session.getNamespace(GetNamespaceRequest.builder().build()).getValue());
        ObjectStorage expired = client("EXPIRED");
        error(401, "NotAuthenticated", () -> expired.getNamespace(GetNamespaceRequest.builder().build()));
    }

    @Test
    void buckets() {
        String compartment = server.told("compartment");
        String name = bucket + "-2";
        HeadBucketRequest head = HeadBucketRequest.builder().namespaceName(namespace).bucketName(name).build();
        error(404, null, () -> client.headBucket(head));
        CreateBucketRequest create = CreateBucketRequest.builder()
                .namespaceName(namespace)
                .createBucketDetails(CreateBucketDetails.builder()
                        .name(name)
                        .compartmentId(compartment)
                        .metadata(Map.of("made-by", "judge"))
                        .build())
                .build();
        assertEquals(name, client.createBucket(create).getBucket().getName());
        error(409, "BucketAlreadyExists", () -> client.createBucket(create));
        assertNotNull(client.headBucket(head).getETag());
        GetBucketRequest get = GetBucketRequest.builder().namespaceName(namespace).bucketName(name).build();
        assertEquals(Map.of("made-by", "judge"), client.getBucket(get).getBucket().getMetadata());
        List<String> listed = new ArrayList<>();
        String page = null;
        do {
            var answer = client.listBuckets(ListBucketsRequest.builder()
                    .namespaceName(namespace)
                    .compartmentId(compartment)
                    .limit(1)
                    .page(page)
                    .build());
            answer.getItems().forEach(found -> listed.add(found.getName()));
            page = answer.getOpcNextPage();
        } while (page != null);
        assertTrue(listed.containsAll(List.of(bucket, name)), listed.toString());
        client.deleteBucket(DeleteBucketRequest.builder().namespaceName(namespace).bucketName(name).build());
        error(404, "BucketNotFound", () -> client.getBucket(get));
        error(409, "BucketNotEmpty", () -> {
            put("in the way", new byte[0]);
            client.deleteBucket(DeleteBucketRequest.builder().namespaceName(namespace).bucketName(bucket).build());
        });
    }

    @Test
    void putGetHeadAndRanges() throws Exception {
        byte[] body = random(100_000);
        PutObjectResponse done = client.putObject(PutObjectRequest.builder()
                .namespaceName(namespace)
                .bucketName(bucket)
                .objectName("whole")
                .contentLength((long) body.length)
                .contentType("application/x-judge")
                .contentMD5(md5(body))
                .opcMeta(Map.of("k", "v"))
                .putObjectBody(new ByteArrayInputStream(body))
                .build());
        assertEquals(md5(body), done.getOpcContentMd5());
        GetObjectResponse got = client.getObject(getting("whole").build());
        assertArrayEquals(body, bytes(got));
        assertEquals(done.getETag(), got.getETag());
        assertEquals("application/x-judge", got.getContentType());
        assertEquals(Map.of("k", "v"), got.getOpcMeta());
        HeadObjectResponse head = head("whole");
        assertEquals((long) body.length, head.getContentLength());
        assertEquals(done.getETag(), head.getETag());
        assertNotNull(head.getOpcContentCrc32c());
        assertNotNull(head.getVersionId());
        for (Range range : List.of(new Range(0L, 0L), new Range(5L, 99_998L), new Range(99_999L, 200_000L),
                new Range(99_990L, null), new Range(null, 7L))) {
            int from = range.getStartByte() == null
                    ? body.length - range.getEndByte().intValue() : range.getStartByte().intValue();
            int to = range.getStartByte() == null || range.getEndByte() == null
                    ? body.length : Math.min(body.length, range.getEndByte().intValue() + 1);
            GetObjectResponse part = client.getObject(getting("whole").range(range).build());
            assertArrayEquals(Arrays.copyOfRange(body, from, to), bytes(part), range.toString());
            assertEquals((long) from, part.getContentRange().getStartByte());
            assertEquals((long) body.length, part.getContentRange().getContentLength());
        }
        error(416, "InvalidRange", () -> client.getObject(getting("whole").range(new Range(100_000L, 100_001L)).build()));
        put("empty", new byte[0]);
        assertEquals(0, get("empty").length);
        error(404, "ObjectNotFound", () -> get("none"));
        error(404, null, () -> head("none"));
    }

    @Test
    void conditions() {
        String etag = put("conditional", "one".getBytes(UTF_8)).getETag();
        GetObjectResponse same = client.getObject(getting("conditional").ifNoneMatch(etag).build());
        assertTrue(same.isNotModified());
        assertArrayEquals("one".getBytes(UTF_8), bytes(client.getObject(getting("conditional").ifMatch(etag).build())));
        error(412, "IfMatchFailed", () -> client.getObject(getting("conditional").ifMatch("another").build()));
        PutObjectRequest.Builder second = PutObjectRequest.builder()
                .namespaceName(namespace)
                .bucketName(bucket)
                .objectName("conditional")
                .contentLength(3L);
        error(412, "IfNoneMatchFailed", () -> client.putObject(second.ifNoneMatch("*")
                .putObjectBody(new ByteArrayInputStream("two".getBytes(UTF_8))).build()));
        error(412, "IfMatchFailed", () -> client.putObject(second.ifNoneMatch(null).ifMatch("another")
                .putObjectBody(new ByteArrayInputStream("two".getBytes(UTF_8))).build()));
        assertArrayEquals("one".getBytes(UTF_8), get("conditional"));
        client.putObject(second.ifMatch(etag).putObjectBody(new ByteArrayInputStream("two".getBytes(UTF_8))).build());
        assertArrayEquals("two".getBytes(UTF_8), get("conditional"));
        error(412, "IfMatchFailed", () -> client.deleteObject(DeleteObjectRequest.builder()
                .namespaceName(namespace).bucketName(bucket).objectName("conditional").ifMatch(etag).build()));
        assertArrayEquals("two".getBytes(UTF_8), get("conditional"));
        error(400, "UnmatchedContentMD5", () -> client.putObject(second.ifMatch(null)
                .contentMD5(md5("other".getBytes(UTF_8)))
                .putObjectBody(new ByteArrayInputStream("two".getBytes(UTF_8))).build()));
    }

    @ParameterizedTest
    @MethodSource("awkward")
    void anAwkwardName(String name) {
        String at = name.length() > 500 ? name : "awkward/" + name;
        byte[] body = (name + " is here").getBytes(UTF_8);
        put(at, body);
        assertArrayEquals(body, get(at));
        assertArrayEquals(Arrays.copyOf(body, 1),
                bytes(client.getObject(getting(at).range(new Range(0L, 0L)).build())));
        assertEquals((long) body.length, head(at).getContentLength());
        List<String> listed = names(client.listObjects(listing().prefix(at).build()).getListObjects());
        assertEquals(List.of(at), listed);
        delete(at);
        error(404, "ObjectNotFound", () -> get(at));
    }

    @Test
    void namesThatAreNone() {
        for (String name : List.of("x".repeat(1025), "é".repeat(513), "line\nfeed")) {
            error(400, "InvalidObjectName", () -> put(name, new byte[1]));
        }
    }

    @Test
    void lists() {
        List<String> all = List.of("l/a/1", "l/a/2", "l/a0", "l/b", "l/c/1", "l/z", "l/é", "l/\uD83E\uDD80");
        all.forEach(name -> put(name, name.getBytes(UTF_8)));
        assertEquals(all, names(client.listObjects(listing().prefix("l/").build()).getListObjects()));
        assertEquals(all.subList(2, 5),
                names(client.listObjects(listing().prefix("l/").start("l/a0").end("l/z").build()).getListObjects()));
        assertEquals(all.subList(3, 8),
                names(client.listObjects(listing().prefix("l/").startAfter("l/a0").build()).getListObjects()));
        ListObjects rolled = client.listObjects(listing().prefix("l/").delimiter("/").build()).getListObjects();
        assertEquals(List.of("l/a/", "l/c/"), rolled.getPrefixes());
        assertEquals(List.of("l/a0", "l/b", "l/z", "l/é", "l/\uD83E\uDD80"), names(rolled));
        for (int limit = 1; limit <= all.size() + 1; limit++) {
            List<String> found = new ArrayList<>();
            Set<String> prefixes = new HashSet<>();
            String start = null;
            do {
                ListObjectsResponse page = client.listObjects(listing()
                        .prefix("l/")
                        .delimiter(limit % 2 == 0 ? "/" : null)
                        .limit(limit)
                        .start(start)
                        .fields("name,size,etag,md5,timeCreated,timeModified,storageTier")
                        .build());
                found.addAll(names(page.getListObjects()));
                prefixes.addAll(page.getListObjects().getPrefixes());
                page.getListObjects().getObjects().forEach(object -> {
                    assertEquals(object.getName().getBytes(UTF_8).length, object.getSize().intValue());
                    assertNotNull(object.getTimeCreated());
                    assertNotNull(object.getEtag());
                });
                start = page.getListObjects().getNextStartWith();
            } while (start != null);
            assertEquals(limit % 2 == 0 ? names(rolled) : all, found, "limit " + limit);
            assertEquals(limit % 2 == 0 ? Set.of("l/a/", "l/c/") : Set.of(), prefixes, "limit " + limit);
        }
    }

    @Test
    void renames() {
        String etag = put("from here", "moved".getBytes(UTF_8)).getETag();
        put("there", "in the way".getBytes(UTF_8));
        RenameObjectDetails.Builder rename =
                RenameObjectDetails.builder().sourceName("from here").newName("there").srcObjIfMatchETag(etag);
        error(412, "IfNoneMatchFailed", () -> client.renameObject(RenameObjectRequest.builder()
                .namespaceName(namespace).bucketName(bucket)
                .renameObjectDetails(rename.newObjIfNoneMatchETag("*").build()).build()));
        assertArrayEquals("in the way".getBytes(UTF_8), get("there"));
        client.renameObject(RenameObjectRequest.builder()
                .namespaceName(namespace).bucketName(bucket)
                .renameObjectDetails(RenameObjectDetails.builder()
                        .sourceName("from here").newName("to ü/+%").srcObjIfMatchETag(etag)
                        .newObjIfNoneMatchETag("*").build())
                .build());
        assertArrayEquals("moved".getBytes(UTF_8), get("to ü/+%"));
        assertNotEquals(etag, head("to ü/+%").getETag());
        error(404, "ObjectNotFound", () -> get("from here"));
    }

    /** A copy is accepted, and followed to its end by the SDK's own waiter. */
    @Test
    void copies() throws Exception {
        put("source", "copied".getBytes(UTF_8));
        CopyObjectDetails.Builder copy = CopyObjectDetails.builder()
                .sourceObjectName("source")
                .destinationRegion(server.told("region"))
                .destinationNamespace(namespace)
                .destinationBucket(bucket)
                .destinationObjectName("a copy/ü");
        assertEquals(WorkRequest.Status.Completed, followed(copy.build()).getStatus());
        assertArrayEquals("copied".getBytes(UTF_8), get("a copy/ü"));
        WorkRequest failed = followed(copy.destinationObjectIfNoneMatchETag("*").build());
        assertEquals(WorkRequest.Status.Failed, failed.getStatus());
        assertEquals("IfNoneMatchFailed", client.listWorkRequestErrors(ListWorkRequestErrorsRequest.builder()
                .workRequestId(failed.getId()).build()).getItems().get(0).getCode());
        error(404, "ObjectNotFound", () -> followed(copy.sourceObjectName("none").build()));
    }

    private WorkRequest followed(CopyObjectDetails copy) throws Exception {
        String id = client.copyObject(CopyObjectRequest.builder()
                        .namespaceName(namespace).bucketName(bucket).copyObjectDetails(copy).build())
                .getOpcWorkRequestId();
        return client.getWaiters()
                .forWorkRequest(GetWorkRequestRequest.builder().workRequestId(id).build())
                .execute()
                .getWorkRequest();
    }

    @Test
    void theUploadManagerSendsPartsAndTheDownloadManagerReadsRanges(@TempDir Path folder) throws Exception {
        byte[] body = random(21 * MIB + 17);
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            UploadManager manager = new UploadManager(client, UploadConfiguration.builder()
                    .allowMultipartUploads(true)
                    .allowParallelUploads(true)
                    .minimumLengthForMultipartUpload(10)
                    .lengthPerUploadPart(5)
                    .enforceMd5BeforeMultipartUpload(true)
                    .additionalChecksumAlgorithm(ChecksumAlgorithm.Crc32C)
                    .build());
            int before = seen().size();
            UploadManager.UploadResponse done = manager.upload(
                    UploadManager.UploadRequest.builder(new ByteArrayInputStream(body), body.length)
                            .allowOverwrite(false)
                            .parallelUploadExecutorService(threads)
                            .build(PutObjectRequest.builder()
                                    .namespaceName(namespace).bucketName(bucket).objectName("dir/ü big")
                                    .opcMeta(Map.of("k", "v")).build()));
            assertTrue(done.getMultipartMd5().endsWith("-5"), done.toString());
            List<String> lines = seen().subList(before, seen().size());
            assertEquals(5, lines.stream().filter(line -> line.contains("uploadPartNum=")).count(), lines.toString());
            assertEquals((long) body.length, head("dir/ü big").getContentLength());
            assertEquals(Map.of("k", "v"), head("dir/ü big").getOpcMeta());

            DownloadManager down = new DownloadManager(client, DownloadConfiguration.builder()
                    .multipartDownloadThresholdInBytes(10 * MIB)
                    .partSizeInBytes(4 * MIB)
                    .parallelDownloads(4)
                    .executorService(threads)
                    .build());
            assertArrayEquals(body, bytes(down.getObject(getting("dir/ü big").build())));
            Path file = folder.resolve("back");
            down.downloadObjectToFile(getting("dir/ü big").build(), file.toFile());
            assertArrayEquals(body, Files.readAllBytes(file));
            assertTrue(seen().stream().filter(line -> line.contains("\"range\":\"bytes=4194304-8388607\"")).count() >= 1);

            BmcException there = assertThrows(BmcException.class, () -> manager.upload(
                    UploadManager.UploadRequest.builder(new ByteArrayInputStream(body), body.length)
                            .allowOverwrite(false)
                            .parallelUploadExecutorService(threads)
                            .build(PutObjectRequest.builder()
                                    .namespaceName(namespace).bucketName(bucket).objectName("dir/ü big").build())));
            assertEquals(412, there.getStatusCode());
            assertEquals(List.of(), uploads());
        } finally {
            threads.shutdownNow();
        }
    }

    private List<String> uploads() {
        return client.listMultipartUploads(ListMultipartUploadsRequest.builder()
                        .namespaceName(namespace).bucketName(bucket).build())
                .getItems().stream().map(MultipartUpload::getObject).collect(Collectors.toList());
    }

    private MultipartUpload begun(String name) {
        return client.createMultipartUpload(CreateMultipartUploadRequest.builder()
                        .namespaceName(namespace).bucketName(bucket)
                        .createMultipartUploadDetails(CreateMultipartUploadDetails.builder().object(name).build())
                        .build())
                .getMultipartUpload();
    }

    private UploadPartResponse putPart(MultipartUpload upload, int number, String body) throws Exception {
        return client.uploadPart(UploadPartRequest.builder()
                .namespaceName(namespace).bucketName(bucket).objectName(upload.getObject())
                .uploadId(upload.getUploadId())
                .uploadPartNum(number)
                .contentMD5(md5(body.getBytes(UTF_8)))
                .contentLength((long) body.length())
                .uploadPartBody(new ByteArrayInputStream(body.getBytes(UTF_8)))
                .build());
    }

    /** Out of order, one part put twice, one left out; then once more, and one that is aborted. */
    @Test
    void partsByHand() throws Exception {
        MultipartUpload upload = begun("by hand/ü");
        Map<Integer, String> etags = new HashMap<>();
        etags.put(3, putPart(upload, 3, "ccc").getETag());
        etags.put(1, putPart(upload, 1, "old").getETag());
        etags.put(1, putPart(upload, 1, "aaa").getETag());
        etags.put(2, putPart(upload, 2, "bbb").getETag());
        putPart(upload, 9, "no");
        List<Integer> listed = new ArrayList<>();
        String page = null;
        do {
            ListMultipartUploadPartsResponse answer = client.listMultipartUploadParts(
                    ListMultipartUploadPartsRequest.builder()
                            .namespaceName(namespace).bucketName(bucket).objectName(upload.getObject())
                            .uploadId(upload.getUploadId()).limit(2).page(page).build());
            answer.getItems().stream().map(MultipartUploadPartSummary::getPartNumber).forEach(listed::add);
            page = answer.getOpcNextPage();
        } while (page != null);
        assertEquals(List.of(1, 2, 3, 9), listed);
        List<CommitMultipartUploadPartDetails> parts = etags.entrySet().stream()
                .sorted(Map.Entry.comparingByKey(Comparator.reverseOrder()))
                .map(part -> CommitMultipartUploadPartDetails.builder()
                        .partNum(part.getKey()).etag(part.getValue()).build())
                .collect(Collectors.toList());
        CommitMultipartUploadRequest.Builder commit = CommitMultipartUploadRequest.builder()
                .namespaceName(namespace).bucketName(bucket).objectName(upload.getObject())
                .uploadId(upload.getUploadId());
        error(400, "InvalidUploadPart", () -> client.commitMultipartUpload(commit.commitMultipartUploadDetails(
                CommitMultipartUploadDetails.builder().partsToCommit(parts).build()).build()));
        commit.commitMultipartUploadDetails(CommitMultipartUploadDetails.builder()
                .partsToCommit(parts).partsToExclude(List.of(9)).build());
        assertNotNull(client.commitMultipartUpload(commit.build()).getETag());
        assertArrayEquals("aaabbbccc".getBytes(UTF_8), get(upload.getObject()));
        error(404, "UploadNotFound", () -> client.commitMultipartUpload(commit.build()));

        MultipartUpload left = begun("left");
        putPart(left, 1, "x");
        assertTrue(uploads().contains("left"));
        client.abortMultipartUpload(AbortMultipartUploadRequest.builder()
                .namespaceName(namespace).bucketName(bucket).objectName("left").uploadId(left.getUploadId()).build());
        assertTrue(!uploads().contains("left"));
        error(404, "UploadNotFound", () -> putPart(left, 2, "y"));
        error(404, "ObjectNotFound", () -> get("left"));
    }

    @Test
    void batchDelete() {
        List<String> names = List.of("batch/a", "batch/ü +", "batch/c");
        names.forEach(name -> put(name, new byte[] {1}));
        List<BatchDeleteObjectIdentifier> objects = new ArrayList<>();
        names.forEach(name -> objects.add(BatchDeleteObjectIdentifier.builder().objectName(name).build()));
        objects.add(BatchDeleteObjectIdentifier.builder().objectName("batch/none").build());
        BatchDeleteObjectsResult done = client.batchDeleteObjects(BatchDeleteObjectsRequest.builder()
                        .namespaceName(namespace).bucketName(bucket)
                        .batchDeleteObjectsDetails(BatchDeleteObjectsDetails.builder().objects(objects).build())
                        .build())
                .getBatchDeleteObjectsResult();
        assertEquals(names, done.getDeleted().stream().map(one -> one.getObjectName()).collect(Collectors.toList()));
        assertEquals(List.of("batch/none"),
                done.getFailed().stream().map(one -> one.getObjectName()).collect(Collectors.toList()));
        assertEquals(404, done.getFailed().get(0).getStatusCode());
        assertEquals(List.of(), names(client.listObjects(listing().prefix("batch/").build()).getListObjects()));
    }

    @Test
    void faultsReachTheCallerAsTheSdksErrors() throws Exception {
        String name = "faulty-" + transport;
        put(name, "body".getBytes(UTF_8));
        for (int status : new int[] {429, 500, 503}) {
            server.fault("{\"contains\":\"" + name + "\",\"count\":1,\"action\":{\"status\":{\"status\":" + status + "}}}");
            error(status, null, () -> get(name));
            assertArrayEquals("body".getBytes(UTF_8), get(name));
        }
        delete(name);
        assertNull(names(client.listObjects(listing().prefix(name).build()).getListObjects()).stream()
                .findAny().orElse(null));
    }
}
