import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;

/** Posts a strip as a stock Java client does, which offers HTTP/2 by an upgrade; prints the answer. */
public class Post {
    public static void main(String[] arguments) throws Exception {
        var strip = HttpRequest.BodyPublishers.ofFile(Path.of(arguments[1]));
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "image/png")
                .POST(strip)
                .build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.statusCode());
        System.out.println(answer.body());
    }
}
