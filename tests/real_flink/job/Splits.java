package io.flightdeck.check;

import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Splits of the paced source, and how they are written into checkpoints. */
final class Splits {
    private Splits() {}

    /** One part of the input: how many of its records have been emitted. */
    static final class Split implements SourceSplit, Serializable {
        private static final long serialVersionUID = 1L;
        final int id;
        long emitted;

        Split(int id, long emitted) {
            this.id = id;
            this.emitted = emitted;
        }

        @Override
        public String splitId() {
            return Integer.toString(id);
        }
    }

    static final class SplitSerializer implements SimpleVersionedSerializer<Split> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Split split) {
            return ByteBuffer.allocate(12).putInt(split.id).putLong(split.emitted).array();
        }

        @Override
        public Split deserialize(int version, byte[] bytes) throws IOException {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return new Split(buffer.getInt(), buffer.getLong());
        }
    }

    /** The enumerator's state: splits that no reader has yet. */
    static final class UnassignedSerializer implements SimpleVersionedSerializer<Collection<Split>> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Collection<Split> splits) {
            ByteBuffer buffer = ByteBuffer.allocate(4 + 12 * splits.size()).putInt(splits.size());
            for (Split split : splits) {
                buffer.putInt(split.id).putLong(split.emitted);
            }
            return buffer.array();
        }

        @Override
        public Collection<Split> deserialize(int version, byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            int count = buffer.getInt();
            List<Split> splits = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                splits.add(new Split(buffer.getInt(), buffer.getLong()));
            }
            return splits;
        }
    }
}
