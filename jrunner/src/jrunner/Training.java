package jrunner;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.Security;
import java.util.Arrays;
import java.util.Collections;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.SSLContext;
import jrunner.db.Connector;
import jrunner.kinds.Kinds;

/**
 * The entry point while the class-data archive is made: loads what sessions will use, then runs one.
 *
 * <p>All classes are loaded, as what a connection needs of a driver's is known to a real server only. What can be had without
 * one is used once: of the JDK what drivers need to reach a server and to log in, and the logins that sessions rehearse.
 */
public final class Training {
    private Training() {}

    public static void main(String[] args) {
        String[] path = System.getProperty("java.class.path").split(File.pathSeparator);
        for (String file : path) {
            loadClasses(new File(file));
        }
        useNetwork();
        useCryptography();
        Connector.rehearse(Arrays.asList(Kinds.ids().split(", ")));
        Main.main(args);
    }

    private static void loadClasses(File file) {
        try (JarFile jar = new JarFile(file)) {
            for (JarEntry entry : Collections.list(jar.entries())) {
                String name = entry.getName();
                if (name.endsWith(".class") && !name.startsWith("META-INF/") && !name.endsWith("module-info.class")) {
                    loadClass(name.substring(0, name.length() - ".class".length()).replace('/', '.'));
                }
            }
        } catch (IOException e) {
            System.err.println(file + " is left out: " + e);
        }
    }

    private static void loadClass(String name) {
        try {
            Class.forName(name, false, Training.class.getClassLoader());
        } catch (ClassNotFoundException | LinkageError e) {
            return; // it needs a library that is not there, and is not used without it
        }
    }

    private static void useNetwork() {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Socket client = new Socket(server.getInetAddress(), server.getLocalPort());
                Socket accepted = server.accept()) {
            client.setTcpNoDelay(true);
            client.setKeepAlive(true);
            client.setSoTimeout(1000);
            client.getOutputStream().write(1);
            accepted.getInputStream().read();
        } catch (IOException e) {
            System.err.println("no network: " + e);
        }
    }

    private static void useCryptography() {
        byte[] salt = new byte[16];
        new SecureRandom().nextBytes(salt);
        try {
            SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256")
                    .generateSecret(new PBEKeySpec("x".toCharArray(), salt, 2, 256));
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(salt, "HmacSHA256"));
            mac.doFinal(salt);
            for (String algorithm : new String[] {"MD5", "SHA-1", "SHA-256"}) {
                MessageDigest.getInstance(algorithm).digest(salt);
            }
            SSLContext.getDefault().getSocketFactory();
            for (Provider provider : Security.getProviders()) {
                provider.getServices();
            }
        } catch (GeneralSecurityException e) {
            System.err.println("no cryptography: " + e);
        }
    }
}
