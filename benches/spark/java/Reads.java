// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.benches;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32C;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/** Reads by the Hadoop API, each of which answers a checksum of the bytes that it was given. */
public final class Reads {
    private static final int PIECE = 64 << 10;

    private Reads() {}

    /** All of a file in order, by reads of 64 KiB. */
    public static long inOrder(String path, Configuration configuration) throws Exception {
        CRC32C sum = new CRC32C();
        byte[] piece = new byte[PIECE];
        try (FSDataInputStream in = open(status(path, configuration), configuration, "sequential")) {
            for (int read = in.read(piece, 0, PIECE); read >= 0; read = in.read(piece, 0, PIECE)) {
                sum.update(piece, 0, read);
            }
        }
        return sum.getValue();
    }

    /** So many pieces of 64 KiB at random places, by positional reads of so many threads, each with a stream. */
    public static long scattered(String path, Configuration configuration, int pieces, int threads) throws Exception {
        FileStatus status = status(path, configuration);
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            List<Future<Long>> sums = new ArrayList<>();
            for (int thread = 0; thread < threads; thread++) {
                int seed = thread;
                int share = pieces / threads + (thread < pieces % threads ? 1 : 0);
                sums.add(pool.submit(() -> share(status, configuration, share, seed)));
            }
            long sum = 0;
            for (Future<Long> each : sums) {
                sum += each.get();
            }
            return sum;
        } finally {
            pool.shutdownNow();
        }
    }

    private static long share(FileStatus status, Configuration configuration, int pieces, int seed) throws Exception {
        Random random = new Random(seed);
        byte[] piece = new byte[PIECE];
        long sum = 0;
        try (FSDataInputStream in = open(status, configuration, "random")) {
            for (int read = 0; read < pieces; read++) {
                in.readFully((long) (random.nextDouble() * (status.getLen() - PIECE)), piece, 0, PIECE);
                CRC32C crc = new CRC32C();
                crc.update(piece, 0, PIECE);
                sum += crc.getValue();
            }
        }
        return sum;
    }

    private static FileStatus status(String path, Configuration configuration) throws IOException {
        return new Path(path).getFileSystem(configuration).getFileStatus(new Path(path));
    }

    private static FSDataInputStream open(FileStatus status, Configuration configuration, String policy)
            throws Exception {
        return status.getPath()
                .getFileSystem(configuration)
                .openFile(status.getPath())
                .withFileStatus(status)
                .opt("fs.option.openfile.read.policy", policy)
                .build()
                .get();
    }
}
