// Sends applications for a loan to the flow `loan-decisions`, as a system does that knows nothing of Weft: JSON, and the headers of a CloudEvent.
//
// java Applications BOOTSTRAP TOPIC < applications.ndjson       one application a line, as in schemas/avro/loans.Application.avsc

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

import static java.nio.charset.StandardCharsets.UTF_8;

public final class Applications {
    private static final Pattern ID = Pattern.compile("\"application_id\"\\s*:\\s*\"([^\"]+)\"");

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true"); // a retry of the client makes no second event

        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
                BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8))) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (String line; (line = lines.readLine()) != null; ) {
                sent.add(producer.send(event(arguments[1], line)));
            }
            for (Future<RecordMetadata> each : sent) {
                each.get(); // one that the broker did not take throws here
            }
            System.out.println(sent.size() + " applications are on " + arguments[1]);
        }
    }

    /** One event. Its key decides the partition: all of one application stay in order. */
    private static ProducerRecord<String, String> event(String topic, String json) {
        Matcher found = ID.matcher(json);
        if (!found.find()) {
            throw new IllegalArgumentException("no application_id: " + json);
        }
        String id = found.group(1);
        ProducerRecord<String, String> record = new ProducerRecord<>(topic, id, json);
        record.headers()
                .add("ce_specversion", "1.0".getBytes(UTF_8))
                .add("ce_type", "loans.Application".getBytes(UTF_8))
                .add("ce_source", "/branch/7".getBytes(UTF_8))
                .add("ce_id", id.getBytes(UTF_8))
                .add("ce_time", Instant.now().toString().getBytes(UTF_8))
                .add("content-type", "application/json".getBytes(UTF_8));
        return record;
    }
}
