package jrunner.db;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import jrunner.Failure;
import jrunner.Redaction;

/**
 * Gives a driver the certificates and the key of a connection's {@code tls} in the form that it reads: a PEM file, or a PKCS12
 * store with a password that only this process knows.
 *
 * <p>The files lie in the session's temporary folder, readable by its owner only, and are deleted when the connection is
 * closed: drivers read them again for the connection by which they cancel.
 */
final class TlsFiles implements AutoCloseable {
    /** The name that PostgreSQL's driver asks the store for. */
    private static final String ALIAS = "user";

    private static final Pattern PEM =
            Pattern.compile("-----BEGIN ([A-Z0-9 ]+)-----([^-]+)-----END \\1-----");

    private final List<Path> made = new ArrayList<>();
    private String password;

    private TlsFiles() {}

    /** Makes what a variant's settings want, and sets them. */
    static TlsFiles give(Properties properties, Tls tls, Tls.Variant variant) throws Failure {
        TlsFiles files = new TlsFiles();
        boolean ready = false;
        try {
            variant.properties.forEach(properties::setProperty);
            Path trusted = null;
            Path own = null;
            for (Map.Entry<String, String> each : variant.files.entrySet()) {
                String what = each.getValue();
                if (what.startsWith("ca-")) {
                    trusted = trusted != null ? trusted : files.trusted(tls.ca, what.equals("ca-pem"));
                } else if (own == null) {
                    own = files.own(tls.cert, tls.key);
                }
                properties.setProperty(each.getKey(), files.value(what, what.startsWith("ca-") ? trusted : own));
            }
            ready = true;
            return files;
        } catch (GeneralSecurityException | IOException e) {
            throw failure("tls", "the certificates cannot be given to the driver: " + e, e);
        } finally {
            if (!ready) {
                files.close();
            }
        }
    }

    private String value(String what, Path file) throws Failure {
        switch (what.substring(what.indexOf('-') + 1)) {
            case "pem": case "store":
                return file.toString();
            case "url":
                return file.toUri().toString();
            case "type":
                return "PKCS12";
            case "password":
                return password();
            default:
                throw Failure.of("protocol", Failure.PROTOCOL, "unknown file '" + what + "' of tls");
        }
    }

    private String password() {
        if (password == null) {
            password = new BigInteger(160, new SecureRandom()).toString(36);
            Redaction.addSecret(password);
        }
        return password;
    }

    private Path trusted(String ca, boolean pem) throws Failure, GeneralSecurityException, IOException {
        List<X509Certificate> certificates = ca == null ? trustedByJava() : certificates("tls.ca", ca);
        if (!pem) {
            KeyStore store = emptyStore();
            for (int i = 0; i < certificates.size(); i++) {
                store.setCertificateEntry("ca" + i, certificates.get(i));
            }
            return write(store);
        }
        StringBuilder text = new StringBuilder();
        for (X509Certificate each : certificates) {
            String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(each.getEncoded());
            text.append("-----BEGIN CERTIFICATE-----\n").append(body).append("\n-----END CERTIFICATE-----\n");
        }
        Path file = newFile(".pem");
        return Files.write(file, text.toString().getBytes(StandardCharsets.US_ASCII));
    }

    private static List<X509Certificate> trustedByJava() throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((KeyStore) null);
        for (TrustManager each : factory.getTrustManagers()) {
            if (each instanceof X509TrustManager) {
                return Arrays.asList(((X509TrustManager) each).getAcceptedIssuers());
            }
        }
        return List.of();
    }

    private Path own(String cert, String key) throws Failure, GeneralSecurityException, IOException {
        List<X509Certificate> chain = certificates("tls.cert", cert);
        PrivateKey secret = key(key, chain.get(0).getPublicKey());
        KeyStore store = emptyStore();
        store.setKeyEntry(ALIAS, secret, password().toCharArray(), chain.toArray(new Certificate[0]));
        return write(store);
    }

    private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private Path write(KeyStore store) throws GeneralSecurityException, IOException {
        Path file = newFile(".p12");
        try (OutputStream out = Files.newOutputStream(file)) {
            store.store(out, password().toCharArray());
        }
        return file;
    }

    /** Readable by its owner only, as the JDK makes temporary files. */
    private Path newFile(String ending) throws IOException {
        Path file = Files.createTempFile("tls-", ending);
        made.add(file);
        return file;
    }

    private static List<X509Certificate> certificates(String setting, String path) throws Failure {
        List<X509Certificate> found = new ArrayList<>();
        Matcher blocks = PEM.matcher(read(setting, path));
        try {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            while (blocks.find()) {
                if (blocks.group(1).endsWith("CERTIFICATE")) {
                    byte[] body = Base64.getMimeDecoder().decode(blocks.group(2));
                    found.add((X509Certificate) factory.generateCertificate(new ByteArrayInputStream(body)));
                }
            }
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            throw failure(setting, path + " holds a certificate that cannot be read: " + e.getMessage(), e);
        }
        if (found.isEmpty()) {
            throw failure(setting, path + " holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", null);
        }
        return found;
    }

    private static PrivateKey key(String path, PublicKey ofCertificate) throws Failure {
        Matcher blocks = PEM.matcher(read("tls.key", path));
        while (blocks.find()) {
            String form = blocks.group(1);
            if (!form.endsWith("PRIVATE KEY")) {
                continue;
            }
            if (form.startsWith("ENCRYPTED") || blocks.group(2).contains("ENCRYPTED")) {
                throw failure("tls.key", path + " has a passphrase, and nobody is there to type it: give a key without one,"
                        + " readable by this user only (openssl pkey -in OLD -out NEW)", null);
            }
            String algorithm = ofCertificate.getAlgorithm();
            try {
                byte[] body = Base64.getMimeDecoder().decode(blocks.group(2));
                byte[] pkcs8 = form.equals("PRIVATE KEY") ? body : Der.pkcs8(form, body);
                PrivateKey key = KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
                if (!belong(key, ofCertificate)) {
                    throw failure("tls.key", path + " is not the key of the certificate in tls.cert", null);
                }
                return key;
            } catch (GeneralSecurityException | RuntimeException e) {
                throw failure("tls.key", path + " holds no " + algorithm + " key, as the certificate in tls.cert wants it, or one"
                        + " in a form that Java does not read (openssl pkey -in OLD -out NEW makes PKCS8)", e);
            }
        }
        throw failure("tls.key", path + " holds no key in PEM (-----BEGIN PRIVATE KEY-----)", null);
    }

    private static boolean belong(PrivateKey key, PublicKey other) throws GeneralSecurityException {
        String algorithm = key.getAlgorithm();
        String name = algorithm.equals("RSA") ? "SHA256withRSA" : algorithm.startsWith("EC") ? "SHA256withECDSA" : algorithm;
        Signature signature = Signature.getInstance(name);
        byte[] text = {1, 2, 3};
        signature.initSign(key);
        signature.update(text);
        byte[] signed = signature.sign();
        signature.initVerify(other);
        signature.update(text);
        return signature.verify(signed);
    }

    private static String read(String setting, String path) throws Failure {
        try {
            return new String(Files.readAllBytes(Paths.get(path)), StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            throw failure(setting, "there is no file " + path, null);
        } catch (AccessDeniedException e) {
            throw failure(setting, path + " cannot be read: this user may not", null);
        } catch (IOException e) {
            throw failure(setting, path + " cannot be read: " + e.getMessage(), null);
        }
    }

    private static Failure failure(String setting, String what, Throwable cause) {
        return Failure.of("open", Failure.CONNECT, setting + ": " + what, cause);
    }

    @Override
    public void close() {
        for (Path each : made) {
            try {
                Files.deleteIfExists(each);
            } catch (IOException e) {
                // It goes with the session's folder.
            }
        }
    }

    /** The forms of OpenSSL's older keys, put into PKCS8 (RFC 5208, 5915). */
    private static final class Der {
        private static final byte[] VERSION = {2, 1, 0};
        private static final byte[] RSA = {6, 9, 0x2a, (byte) 0x86, 0x48, (byte) 0x86, (byte) 0xf7, 0x0d, 1, 1, 1, 5, 0};
        private static final byte[] EC = {6, 7, 0x2a, (byte) 0x86, 0x48, (byte) 0xce, 0x3d, 2, 1};

        static byte[] pkcs8(String form, byte[] key) {
            byte[] algorithm = form.startsWith("RSA") ? RSA : join(EC, curve(key));
            return tagged(0x30, join(VERSION, tagged(0x30, algorithm), tagged(4, key)));
        }

        /** The curve's name, which RFC 5915 has as element [0]: a sequence of version, key, [0], [1]. */
        private static byte[] curve(byte[] key) {
            int at = 2 + (key[1] < 0 ? key[1] & 0x7f : 0);
            while (at < key.length) {
                int length = key[at + 1];
                if ((key[at] & 0xff) == 0xa0) {
                    return Arrays.copyOfRange(key, at + 2, at + 2 + length);
                }
                at += 2 + length;
            }
            throw new IllegalArgumentException("no curve");
        }

        private static byte[] tagged(int tag, byte[] body) {
            int n = body.length;
            byte[] length = n < 128
                    ? new byte[] {(byte) n}
                    : n < 256 ? new byte[] {(byte) 0x81, (byte) n} : new byte[] {(byte) 0x82, (byte) (n >> 8), (byte) n};
            return join(new byte[] {(byte) tag}, length, body);
        }

        private static byte[] join(byte[]... parts) {
            java.io.ByteArrayOutputStream all = new java.io.ByteArrayOutputStream();
            for (byte[] part : parts) {
                all.write(part, 0, part.length);
            }
            return all.toByteArray();
        }
    }
}
