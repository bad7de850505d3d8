// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionException;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.security.AccessControlException;
import org.junit.jupiter.api.Test;

class ForeignCallTest {

  @Test
  void eachOperationAndOutcomeArrivesUnderItsName() throws Exception {
    try (Recorded recorded = new Recorded()) {
      for (Operation operation : Operation.values()) {
        for (Outcome outcome : Outcome.values()) {
          recorded.scope.recorded(operation, outcome, 1_000_000, 7);
          Map<String, Recorded.Values> taken = recorded.take();
          String name = operation.name().toLowerCase(Locale.ROOT);
          String end = outcome.name().toLowerCase(Locale.ROOT);
          String total = "call/" + name + "/total/" + end + "/-/-";
          String bytes = "call/" + name + "/bytes_delivered/" + end + "/-/-";
          assertEquals(Set.of(total, bytes), taken.keySet());
          assertEquals(1_000_000, taken.get(total).sum);
          assertEquals(7, taken.get(bytes).sum);
        }
      }
    }
  }

  @Test
  void aCallWithoutPayloadHasNoBytes() throws Exception {
    try (Recorded recorded = new Recorded()) {
      recorded.scope.recorded(Operation.LIST, Outcome.OK, 5, ForeignCall.NO_BYTES);
      assertEquals(Set.of("call/list/total/ok/-/-"), recorded.take().keySet());
      recorded.scope.recorded(Operation.GET, Outcome.OK, -1, 0);
      assertEquals("1 get ok 0", recorded.calls());
    }
  }

  @Test
  void aScopeThatIsClosedRecordsNothing() throws Exception {
    Recorded recorded = new Recorded();
    recorded.close();
    recorded.scope.recorded(Operation.GET, Outcome.OK, 1, 1);
  }

  @Test
  void failuresAreToldByWhatTheyAre() {
    assertSame(Outcome.NOT_FOUND, Outcome.of(new FileNotFoundException()));
    assertSame(Outcome.NOT_FOUND, Outcome.of(new CompletionException(new FileNotFoundException())));
    assertSame(Outcome.PRECONDITION, Outcome.of(new FileAlreadyExistsException()));
    assertSame(Outcome.AUTH, Outcome.of(new AccessControlException()));
    assertSame(Outcome.TIMEOUT, Outcome.of(new SocketTimeoutException()));
    assertSame(Outcome.CANCELLED, Outcome.of(new InterruptedIOException()));
    assertSame(Outcome.CONNECT, Outcome.of(new ConnectException()));
    assertSame(Outcome.RESET, Outcome.of(new SocketException()));
    assertSame(Outcome.CLIENT, Outcome.of(new EOFException()));
    assertSame(Outcome.CLIENT, Outcome.of(new UnsupportedOperationException()));
    assertSame(Outcome.SERVER, Outcome.of(new IOException()));
  }

  @Test
  void statusesAreThoseOfTheCore() {
    assertSame(Outcome.OK, Outcome.ofStatus(206));
    assertSame(Outcome.NOT_FOUND, Outcome.ofStatus(404));
    assertSame(Outcome.PRECONDITION, Outcome.ofStatus(412));
    assertSame(Outcome.AUTH, Outcome.ofStatus(401));
    assertSame(Outcome.THROTTLED, Outcome.ofStatus(429));
    assertSame(Outcome.CLIENT, Outcome.ofStatus(400));
    assertSame(Outcome.SERVER, Outcome.ofStatus(503));
    assertSame(Outcome.SERVER, Outcome.ofStatus(0));
  }

  @Test
  void aSharedScopeIsOne() throws Exception {
    Recording.Scope one = SharedScopes.of("a test's");
    assertSame(one, SharedScopes.of("a test's"));
    assertTrue(SharedScopes.all().containsValue(one));
  }
}
