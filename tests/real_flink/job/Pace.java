package io.flightdeck.check;

import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;

/**
 * How many records the outside world has produced by now: the integral of a rate over time.
 *
 * <p>The rate is read from a file of lines {@code <epoch ms> <records per second>}, each valid from its instant on. Because it is
 * a function of that file and the clock alone, a restarted or rescaled reader knows its backlog again.
 */
final class Pace implements Serializable {
    private static final long serialVersionUID = 1L;
    private static final long LOOK_AGAIN_MS = 200;

    private final String file;
    private final int splits;
    private transient List<long[]> steps;
    private transient long modified;
    private transient long lookedAt;

    Pace(String file, int splits) {
        this.file = file;
        this.splits = splits;
    }

    /** Records produced for one split until {@code now}. */
    synchronized long produced(long now) {
        look(now);
        double total = 0;
        for (int i = 0; i < steps.size(); i++) {
            long from = steps.get(i)[0];
            long to = i + 1 < steps.size() ? Math.min(now, steps.get(i + 1)[0]) : now;
            if (to > from) {
                total += (to - from) / 1000.0 * steps.get(i)[1];
            }
        }
        return (long) (total / splits);
    }

    private void look(long now) {
        if (steps != null && now - lookedAt < LOOK_AGAIN_MS) {
            return;
        }
        lookedAt = now;
        Path path = Paths.get(file);
        try {
            long changed = Files.getLastModifiedTime(path).toMillis();
            if (steps != null && changed == modified) {
                return;
            }
            List<long[]> read = new ArrayList<>();
            for (String line : Files.readAllLines(path)) {
                String[] words = line.trim().split("\\s+");
                if (words.length == 2) {
                    read.add(new long[] {Long.parseLong(words[0]), Long.parseLong(words[1])});
                }
            }
            steps = read;
            modified = changed;
        } catch (IOException e) {
            throw new IllegalStateException("cannot read the rates in " + file, e);
        }
    }
}
