// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The report while the application runs, over HTTP on 127.0.0.1: {@code /}, {@code /run.json} and {@code /run.hlog}. Spark's own
 * UI takes pages by interfaces that differ between its versions.
 */
final class LivePage implements AutoCloseable {

  private final HttpServer server;
  private final ExecutorService threads;

  /** Makes the report that is shown. */
  interface Source {
    Application.Report get() throws IOException;
  }

  LivePage(Source source) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    threads =
        Executors.newSingleThreadExecutor(
            work -> {
              Thread thread = new Thread(work, "storescope-page");
              thread.setDaemon(true);
              return thread;
            });
    server.setExecutor(threads);
    server.createContext("/", exchange -> answer(exchange, source));
    startAsDaemon();
  }

  /**
   * Its own thread is a daemon where the one that starts it is: no application that leaves its context open is kept from its
   * end.
   */
  private void startAsDaemon() throws IOException {
    Thread starter = new Thread(server::start, "storescope-page-start");
    starter.setDaemon(true);
    starter.start();
    try {
      starter.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("while the page began");
    }
  }

  String address() {
    return "http://127.0.0.1:" + server.getAddress().getPort() + "/";
  }

  private static void answer(HttpExchange exchange, Source source) throws IOException {
    try {
      int status = 200;
      String type = "text/plain; charset=utf-8";
      String text;
      try {
        switch (exchange.getRequestURI().getPath()) {
          case "/":
            type = "text/html; charset=utf-8";
            text = source.get().page;
            break;
          case "/run.json":
            type = "application/json";
            text = source.get().json;
            break;
          case "/run.hlog":
            text = source.get().hlog;
            break;
          default:
            status = 404;
            text = "There are /, /run.json and /run.hlog.\n";
        }
      } catch (IOException | RuntimeException e) {
        status = 500;
        text = "The report cannot be made: " + e.getMessage() + "\n";
      }
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Content-Type", type);
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
    } finally {
      exchange.close();
    }
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdown();
  }
}
