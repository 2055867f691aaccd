package jrunner.kinds;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.sql.Driver;
import java.sql.SQLException;
import java.util.Properties;

/**
 * A login that leads nowhere: the driver connects to a socket of this process, which speaks PostgreSQL's protocol until the
 * driver has computed the proof of its password, and hangs up.
 *
 * <p>Most of a first login is code that runs for the first time, above all the 4,096 rounds of SCRAM-SHA-256 in the
 * interpreter. Played while the session waits for its first request, that is paid for by nobody.
 */
final class PgRehearsal {
    private static final int TIMEOUT_MS = 2_000;
    private static final int SASL = 10;
    private static final int SASL_CONTINUE = 11;
    private static final int LONGEST = 10_000;

    private PgRehearsal() {}

    static void play(Driver driver) throws IOException {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            server.setSoTimeout(TIMEOUT_MS);
            Thread host = new Thread(() -> receive(server), "rehearsal-host");
            host.setDaemon(true);
            host.start();
            Properties login = new Properties();
            login.setProperty("user", "nobody");
            login.setProperty("password", "nothing");
            login.setProperty("sslmode", "disable");
            login.setProperty("gssEncMode", "disable");
            login.setProperty("socketTimeout", "2");
            String host4 = server.getInetAddress().getHostAddress();
            try {
                driver.connect("jdbc:postgresql://" + host4 + ":" + server.getLocalPort() + "/nowhere", login).close();
            } catch (SQLException e) {
                return; // the host hung up
            }
        }
    }

    private static void receive(ServerSocket server) {
        try (Socket client = server.accept()) {
            client.setSoTimeout(TIMEOUT_MS);
            DataInputStream in = new DataInputStream(client.getInputStream());
            DataOutputStream out = new DataOutputStream(client.getOutputStream());
            read(in); // the startup message, which has no letter
            answer(out, SASL, "SCRAM-SHA-256\0\0");
            in.readByte();
            String first = read(in);
            String nonce = first.substring(first.lastIndexOf("r=") + 2);
            answer(out, SASL_CONTINUE, "r=" + nonce + "x,s=cmVoZWFyc2Fs,i=4096");
            in.readByte();
            read(in);
        } catch (IOException | RuntimeException e) {
            return; // another protocol than was thought: the first login is then as slow as without
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

    private static void answer(DataOutputStream out, int kind, String text) throws IOException {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(message);
        fields.writeByte('R');
        fields.writeInt(2 * Integer.BYTES + text.length());
        fields.writeInt(kind);
        fields.writeBytes(text);
        out.write(message.toByteArray());
        out.flush();
    }
}
