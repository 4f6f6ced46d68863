package io.flightdeck.check;

import io.flightdeck.check.Splits.Split;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** A FLIP-27 source with several splits that emits what {@link Pace} says was produced and reports the rest as pending. */
final class PacedSource implements Source<Tuple2<Integer, byte[]>, Split, Collection<Split>> {
    private static final long serialVersionUID = 1L;
    /** Large records keep few of them in network buffers: back pressure and barriers react within seconds. */
    private static final int PAYLOAD_BYTES = 1024;
    private static final int KEYS = 4096;

    private final int splits;
    private final Pace pace;

    PacedSource(String rateFile, int splits) {
        this.splits = splits;
        this.pace = new Pace(rateFile, splits);
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<Split, Collection<Split>> createEnumerator(SplitEnumeratorContext<Split> context) {
        List<Split> all = new ArrayList<>();
        for (int id = 0; id < splits; id++) {
            all.add(new Split(id, 0));
        }
        return new Enumerator(context, all);
    }

    @Override
    public SplitEnumerator<Split, Collection<Split>> restoreEnumerator(
            SplitEnumeratorContext<Split> context, Collection<Split> unassigned) {
        return new Enumerator(context, unassigned);
    }

    @Override
    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new Splits.SplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<Collection<Split>> getEnumeratorCheckpointSerializer() {
        return new Splits.UnassignedSerializer();
    }

    @Override
    public SourceReader<Tuple2<Integer, byte[]>, Split> createReader(SourceReaderContext context) {
        return new Reader(context, pace);
    }

    private static final class Enumerator implements SplitEnumerator<Split, Collection<Split>> {
        private final SplitEnumeratorContext<Split> context;
        private final List<Split> unassigned;

        Enumerator(SplitEnumeratorContext<Split> context, Collection<Split> unassigned) {
            this.context = context;
            this.unassigned = new ArrayList<>(unassigned);
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int subtask, String host) {}

        @Override
        public void addSplitsBack(List<Split> back, int subtask) {
            unassigned.addAll(back);
        }

        @Override
        public void addReader(int subtask) {
            List<Split> mine = new ArrayList<>();
            for (Split split : unassigned) {
                if (split.id % context.currentParallelism() == subtask) {
                    mine.add(split);
                }
            }
            unassigned.removeAll(mine);
            for (Split split : mine) {
                context.assignSplit(split, subtask);
            }
        }

        @Override
        public Collection<Split> snapshotState(long checkpoint) {
            return new ArrayList<>(unassigned);
        }

        @Override
        public void close() throws IOException {}
    }

    private static final class Reader implements SourceReader<Tuple2<Integer, byte[]>, Split> {
        private static final long IDLE_MS = 5;
        private final SourceReaderContext context;
        private final Pace pace;
        private final List<Split> mine = new ArrayList<>();
        private ScheduledExecutorService alarm;
        private int next;

        Reader(SourceReaderContext context, Pace pace) {
            this.context = context;
            this.pace = pace;
        }

        @Override
        public void start() {
            alarm = Executors.newSingleThreadScheduledExecutor(work -> {
                Thread thread = new Thread(work, "paced-source");
                thread.setDaemon(true);
                return thread;
            });
            context.metricGroup().setPendingRecordsGauge(this::pending);
        }

        private long pending() {
            synchronized (mine) {
                long produced = pace.produced(System.currentTimeMillis());
                long pending = 0;
                for (Split split : mine) {
                    pending += Math.max(0, produced - split.emitted);
                }
                return pending;
            }
        }

        @Override
        public InputStatus pollNext(ReaderOutput<Tuple2<Integer, byte[]>> output) {
            synchronized (mine) {
                long produced = pace.produced(System.currentTimeMillis());
                for (int tried = 0; tried < mine.size(); tried++) {
                    Split split = mine.get(next++ % mine.size());
                    if (split.emitted < produced) {
                        int key = (int) ((split.emitted * 31 + split.id) % KEYS);
                        split.emitted++;
                        context.metricGroup().getIOMetricGroup().getNumRecordsInCounter().inc();
                        output.collect(Tuple2.of(key, new byte[PAYLOAD_BYTES]));
                        return InputStatus.MORE_AVAILABLE;
                    }
                }
                return InputStatus.NOTHING_AVAILABLE;
            }
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            CompletableFuture<Void> later = new CompletableFuture<>();
            alarm.schedule(() -> later.complete(null), IDLE_MS, TimeUnit.MILLISECONDS);
            return later;
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            synchronized (mine) {
                List<Split> copy = new ArrayList<>();
                for (Split split : mine) {
                    copy.add(new Split(split.id, split.emitted));
                }
                return copy;
            }
        }

        @Override
        public void addSplits(List<Split> splits) {
            synchronized (mine) {
                mine.addAll(splits);
            }
        }

        @Override
        public void notifyNoMoreSplits() {}

        @Override
        public void close() {
            if (alarm != null) {
                alarm.shutdownNow();
            }
        }
    }
}
