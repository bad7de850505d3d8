// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Pages over HTTP while the application runs, each made when it is asked for. Spark's own UI takes pages by interfaces that
 * differ between its versions.
 */
final class Pages implements AutoCloseable {

  private final HttpServer server;
  private final ExecutorService threads;
  private final Map<String, Page> pages;

  /** Makes the text of a page. */
  interface Source {
    String get() throws IOException;
  }

  /** A page: its media type, and its text. */
  static final class Page {
    private final String type;
    private final Source source;

    Page(String type, Source source) {
      this.type = type;
      this.source = source;
    }
  }

  /**
   * Serves these pages.
   *
   * @param name of the threads
   * @param pages by their paths
   * @throws IOException if it cannot listen there
   */
  Pages(String name, InetSocketAddress address, Map<String, Page> pages) throws IOException {
    this.pages = new TreeMap<>(pages);
    server = HttpServer.create(address, 0);
    threads =
        Executors.newSingleThreadExecutor(
            work -> {
              Thread thread = new Thread(work, name);
              thread.setDaemon(true);
              return thread;
            });
    server.setExecutor(threads);
    server.createContext("/", this::answer);
    startAsDaemon(name);
  }

  /**
   * Its own thread is a daemon where the one that starts it is: no application that leaves its context open is kept from its
   * end.
   */
  private void startAsDaemon(String name) throws IOException {
    Thread starter = new Thread(server::start, name + "-start");
    starter.setDaemon(true);
    starter.start();
    try {
      starter.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("while the pages began");
    }
  }

  /** Where it listens: {@code host:port}. */
  String address() {
    InetSocketAddress at = server.getAddress();
    return at.getHostString() + ":" + at.getPort();
  }

  private void answer(HttpExchange exchange) throws IOException {
    try {
      int status = 200;
      String type = "text/plain; charset=utf-8";
      String text;
      Page page = pages.get(exchange.getRequestURI().getPath());
      if (page == null) {
        status = 404;
        text = "The pages are " + String.join(", ", pages.keySet()) + ".\n";
      } else {
        try {
          text = page.source.get();
          type = page.type;
        } catch (IOException | RuntimeException e) {
          status = 500;
          text = "The page cannot be made: " + e.getMessage() + "\n";
        }
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
