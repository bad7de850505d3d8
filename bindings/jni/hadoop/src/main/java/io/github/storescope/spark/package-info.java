// SPDX-License-Identifier: Apache-2.0
/**
 * What a Spark application asks of object storage, and how long its tasks wait for it: by stage, from every executor.
 *
 * <pre>
 *  executor                                      driver
 *  Recorder ── Delta, as bytes ── Spark's RPC ──▶ DriverSide ──▶ Gathering (native) ──▶ Report · Pages · one line a stage
 *     ▲ by TaskContext                               ▲ Progress: stages and tasks, of Spark's listener bus
 * </pre>
 */
package io.github.storescope.spark;
