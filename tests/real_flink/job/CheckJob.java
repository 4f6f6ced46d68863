package io.flightdeck.check;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * Source (several splits, reports pendingRecords) --HASH--> Work (keyed, sleeps for each record) --REBALANCE--> Sink.
 *
 * <p>Arguments: rate file, splits, milliseconds of work a record, checkpoint interval in milliseconds. The work sleeps instead of computing, so that any parallelism
 * fits a small machine.
 */
public final class CheckJob {
    private CheckJob() {}

    public static void main(String[] args) throws Exception {
        String rateFile = args[0];
        int splits = Integer.parseInt(args[1]);
        long workMs = Long.parseLong(args[2]);

        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setMaxParallelism(24);
        env.enableCheckpointing(Long.parseLong(args[3]));
        env.fromSource(
                        new PacedSource(rateFile, splits),
                        WatermarkStrategy.noWatermarks(),
                        "paced",
                        Types.TUPLE(Types.INT, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO))
                .uid("source")
                .keyBy(record -> record.f0, Types.INT)
                .process(new Work(workMs))
                .name("Work")
                .uid("work")
                .rebalance()
                .sinkTo(new DiscardingSink<>())
                .name("Sink: discard")
                .uid("sink");
        env.execute("flightdeck-check");
    }

    private static final class Work extends KeyedProcessFunction<Integer, Tuple2<Integer, byte[]>, Long> {
        private static final long serialVersionUID = 1L;
        private final long workMs;
        private transient ValueState<Long> seen;

        Work(long workMs) {
            this.workMs = workMs;
        }

        @Override
        public void open(OpenContext context) {
            seen = getRuntimeContext().getState(new ValueStateDescriptor<>("seen", Types.LONG));
        }

        @Override
        public void processElement(Tuple2<Integer, byte[]> record, Context context, Collector<Long> out)
                throws Exception {
            Thread.sleep(workMs);
            Long before = seen.value();
            long now = before == null ? 1 : before + 1;
            seen.update(now);
            out.collect(now);
        }
    }
}
