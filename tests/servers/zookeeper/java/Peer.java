import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.Closeable;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A member of the fleet, on a library of the ecosystem: does what a test writes to it, a line of JSON each.
 *
 * <p>A command {@code {"do": "list", "name": "web"}} is answered by {@code {"did": "list", "instances": [...]}}; what is
 * watched is told whenever it changes, {@code {"seen": "web", "instances": [...]}}. An error ends the program. So does
 * the end of its input, politely.
 */
public final class Peer {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    /** What a library of the ecosystem is asked to do. */
    interface Library extends Closeable {
        /** The instances that the command asks for, none where it asks for none. */
        List<?> act(JsonNode command) throws Exception;
    }

    /** How it begins. */
    interface Opening {
        Library open() throws Exception;
    }

    /** Do what is asked until the input ends, and end the program. */
    static void run(Opening opening) {
        System.setOut(System.err); // what the libraries print is no answer
        int code = 0;
        try (Library library = opening.open()) {
            var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                JsonNode command = JSON.readTree(line);
                say("did", command.get("do").asText(), library.act(command));
            }
        } catch (Exception error) {
            error.printStackTrace();
            code = 1;
        }
        System.exit(code); // the libraries have threads that would go on
    }

    /** Tell what is there now of a service that is watched. */
    static void seen(String name, List<?> instances) {
        say("seen", name, instances);
    }

    private static synchronized void say(String kind, String what, List<?> instances) {
        Map<String, Object> said = new LinkedHashMap<>();
        said.put(kind, what);
        said.put("instances", instances);
        OUT.println(JSON.valueToTree(said));
    }
}
