package jrunner;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TimeZone;
import jrunner.session.Session;

/** The entry point: {@code session}, or flags. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        settle();
        FileOutputStream out = new FileOutputStream(FileDescriptor.out);
        if (args.length > 0 && args[0].equals("session")) {
            List<String> rehearsed = Arrays.asList(args).subList(1, args.length);
            Session.run(new FileInputStream(FileDescriptor.in), out, rehearsed);
        } else {
            System.exit(jrunner.flags.FlagMode.run(args, out, System.err));
        }
    }

    /** Makes the JVM the same everywhere, before any driver is loaded. */
    private static void settle() {
        // Values must not depend on where or when the program runs; drivers read these once.
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Locale.setDefault(Locale.US);
        // stdout is for the protocol or for data. A driver that prints must not break it.
        System.setErr(RedactingStream.over(new FileOutputStream(FileDescriptor.err)));
        System.setOut(System.err);
    }
}
