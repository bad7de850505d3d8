// SPDX-License-Identifier: Apache-2.0
package io.storescope.interop;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The server under test: the line that it printed when it was ready, from STORESCOPE_READY. */
final class Server {
    private final String ready;

    private Server(String ready) {
        this.ready = ready;
    }

    /** Where there is none the tests fail; they never skip. */
    static Server running() {
        String ready = System.getProperty("storescope.ready", System.getenv("STORESCOPE_READY"));
        if (ready == null || ready.isEmpty()) {
            throw new IllegalStateException("set STORESCOPE_READY to the line that `storescope serve` prints");
        }
        Server server = new Server(ready);
        try {
            server.trust();
        } catch (GeneralSecurityException | IOException wrong) {
            throw new IllegalStateException(wrong);
        }
        return server;
    }

    /** A text of the ready line: the first of that name, which is the native API's. */
    String told(String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(ready);
        if (!found.find()) {
            throw new IllegalStateException("no " + name + " in " + ready);
        }
        return found.group(1);
    }

    /** Makes the CA of its TLS listener the one that this JVM trusts: the SDK's connections take the JVM's store. */
    private void trust() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(Path.of(told("ca_bundle")))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        Path file = Files.createTempFile("interop-trust-", ".p12");
        file.toFile().deleteOnExit();
        try (OutputStream to = Files.newOutputStream(file)) {
            store.store(to, "interop".toCharArray());
        }
        System.setProperty("javax.net.ssl.trustStore", file.toString());
        System.setProperty("javax.net.ssl.trustStoreType", "PKCS12");
        System.setProperty("javax.net.ssl.trustStorePassword", "interop");
    }

    /** The lines of its record, one a request: the file is up to date once the admin API was asked. */
    List<String> record() throws IOException, InterruptedException {
        HttpRequest asked = HttpRequest.newBuilder(URI.create(told("admin") + "/record")).build();
        HttpClient.newHttpClient().send(asked, HttpResponse.BodyHandlers.discarding());
        return Files.readAllLines(Path.of(told("record")), StandardCharsets.UTF_8);
    }

    /** Asks for a fault in requests to come. */
    void fault(String json) throws IOException, InterruptedException {
        HttpRequest asked = HttpRequest.newBuilder(URI.create(told("admin") + "/faults"))
                .POST(HttpRequest.BodyPublishers.ofString(json))
                .build();
        HttpResponse<String> answer =
                HttpClient.newHttpClient().send(asked, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(answer.body());
        }
    }
}
