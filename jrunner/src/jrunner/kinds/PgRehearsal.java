package jrunner.kinds;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Properties;

/**
 * Two logins that lead nowhere: the driver connects to a socket of this process, which speaks PostgreSQL's protocol.
 *
 * <p>Most of a first login is code that runs for the first time, above all the rounds of SCRAM-SHA-256 in the interpreter.
 * Played while the session waits for its first request, that is paid for by nobody. The host of the first login hangs up once
 * the driver has computed the proof of its password; that of the second asks for none, and answers each statement with nothing.
 */
final class PgRehearsal {
    private static final int TIMEOUT_MS = 2_000;
    private static final int OK = 0;
    private static final int SASL = 10;
    private static final int SASL_CONTINUE = 11;
    private static final int LONGEST = 10_000;
    private static final String[][] PARAMETERS = {
        {"server_version", "16.0"}, {"server_encoding", "UTF8"}, {"client_encoding", "UTF8"}, {"DateStyle", "ISO, MDY"},
        {"TimeZone", "UTC"}, {"integer_datetimes", "on"}, {"standard_conforming_strings", "on"},
    };

    private PgRehearsal() {}

    /** Log in twice, and run the statements in the second connection. */
    static void play(Driver driver, List<String> statements) throws IOException {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            server.setSoTimeout(TIMEOUT_MS);
            Thread host = new Thread(() -> receive(server), "rehearsal-host");
            host.setDaemon(true);
            host.start();
            String url = "jdbc:postgresql://" + server.getInetAddress().getHostAddress() + ":" + server.getLocalPort() + "/nowhere";
            logIn(driver, url, List.of());
            logIn(driver, url, statements);
        }
    }

    private static void logIn(Driver driver, String url, List<String> statements) {
        Properties login = new Properties();
        login.setProperty("user", "nobody");
        login.setProperty("password", "nothing");
        login.setProperty("sslmode", "disable");
        login.setProperty("gssEncMode", "disable");
        login.setProperty("socketTimeout", "2");
        try (Connection connection = driver.connect(url, login);
                Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        } catch (SQLException e) {
            return; // the host hung up
        }
    }

    private static void receive(ServerSocket server) {
        try {
            askForPassword(server);
            answerAll(server);
        } catch (IOException | RuntimeException e) {
            return; // another protocol than was thought: the first login is then as slow as without
        }
    }

    private static void askForPassword(ServerSocket server) throws IOException {
        try (Socket client = server.accept()) {
            client.setSoTimeout(TIMEOUT_MS);
            DataInputStream in = new DataInputStream(client.getInputStream());
            DataOutputStream out = new DataOutputStream(client.getOutputStream());
            read(in); // the startup message, which has no letter
            answer(out, 'R', SASL, "SCRAM-SHA-256\0\0");
            in.readByte();
            String first = read(in);
            String nonce = first.substring(first.lastIndexOf("r=") + 2);
            answer(out, 'R', SASL_CONTINUE, "r=" + nonce + "x,s=cmVoZWFyc2Fs,i=1024");
            in.readByte();
            read(in);
        }
    }

    private static void answerAll(ServerSocket server) throws IOException {
        try (Socket client = server.accept()) {
            client.setSoTimeout(TIMEOUT_MS);
            DataInputStream in = new DataInputStream(client.getInputStream());
            DataOutputStream out = new DataOutputStream(client.getOutputStream());
            read(in);
            answer(out, 'R', OK, "");
            for (String[] parameter : PARAMETERS) {
                answer(out, 'S', null, parameter[0] + '\0' + parameter[1] + '\0');
            }
            answer(out, 'K', 1, "\0\0\0\1");
            answer(out, 'Z', null, "I");
            for (char asked = (char) in.readByte(); asked != 'X'; asked = (char) in.readByte()) {
                read(in);
                switch (asked) {
                    case 'P': answer(out, '1', null, ""); break; // parsed
                    case 'B': answer(out, '2', null, ""); break; // bound
                    case 'D': answer(out, 'n', null, ""); break; // no rows
                    case 'E': answer(out, 'C', null, "SET\0"); break; // done
                    case 'Q': answer(out, 'C', null, "SET\0"); answer(out, 'Z', null, "I"); break;
                    case 'S': answer(out, 'Z', null, "I"); break; // ready
                    default: break;
                }
            }
        }
    }

    private static String read(DataInputStream in) throws IOException {
        int length = in.readInt() - Integer.BYTES;
        if (length < 0 || length > LONGEST) {
            throw new IOException("no message of PostgreSQL's");
        }
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** Send a message: its letter, its length, a number unless that is null, and text. */
    private static void answer(DataOutputStream out, char letter, Integer number, String text) throws IOException {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(message);
        fields.writeByte(letter);
        fields.writeInt((number == null ? 1 : 2) * Integer.BYTES + text.length());
        if (number != null) {
            fields.writeInt(number);
        }
        fields.writeBytes(text);
        out.write(message.toByteArray());
        out.flush();
    }
}
