// SPDX-License-Identifier: Apache-2.0
import org.apache.spark.sql.SparkSession;

/** Writes and reads a table, stops Spark, and returns: what then keeps the JVM alive is a thread that should not. */
public final class EndsByItself {

  public static void main(String[] arguments) {
    SparkSession spark = SparkSession.builder().appName("ends by itself").getOrCreate();
    spark.range(1000).write().parquet(arguments[0]);
    long rows = spark.read().parquet(arguments[0]).count();
    spark.stop();
    System.out.printf("{\"rows\": %d, \"returns\": %.3f}%n", rows, System.currentTimeMillis() / 1000.0);
  }
}
