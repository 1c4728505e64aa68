// Reads decisions about loans, each once, as a system does that knows nothing of Weft.
//
// java Decisions BOOTSTRAP TOPIC GROUP [COUNT]       until COUNT decisions have come; else for ever

import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;

import static java.nio.charset.StandardCharsets.UTF_8;

public final class Decisions {
    private static final int REMEMBERED = 1_000_000;

    /** Keys of decisions that were acted on. In earnest it is a unique column in the database that the effect is written to. */
    private static final Set<String> DONE = Collections.newSetFromMap(new LinkedHashMap<String, Boolean>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
            return size() > REMEMBERED;
        }
    });

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("group.id", arguments[2]);
        settings.put("isolation.level", "read_committed"); // else one sees what an aborted transaction wrote
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false"); // commit behind the effect, not before it
        long wanted = arguments.length > 3 ? Long.parseLong(arguments[3]) : Long.MAX_VALUE;

        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(arguments[1]));
            while (DONE.size() < wanted) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    if (DONE.add(header(record, "ce_weftkey"))) {
                        act(record);
                    } else {
                        System.out.println("again: " + header(record, "ce_causationid"));
                    }
                }
                consumer.commitSync();
            }
        }
    }

    private static void act(ConsumerRecord<String, String> record) {
        System.out.println(header(record, "ce_causationid") + " by " + header(record, "ce_weftflow") + ": " + record.value());
    }

    private static String header(ConsumerRecord<String, String> record, String name) {
        Header found = record.headers().lastHeader(name);
        if (found == null) {
            throw new IllegalStateException("a record without " + name + " is not from Weft: " + record.topic() + "/" + record.partition() + "/" + record.offset());
        }
        return new String(found.value(), UTF_8);
    }
}
