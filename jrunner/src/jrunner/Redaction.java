package jrunner;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Keeps secrets out of whatever is printed.
 *
 * <p>Two nets: the exact secrets that this process was given ({@link #addSecret}), and the places in URLs and messages
 * where secrets stand by custom. Over-redaction is fine, under-redaction is not.
 */
public final class Redaction {
    private static final String STARS = "***";

    /** Names of settings whose value is a secret, as they appear in URLs, properties and connection strings. */
    private static final String SECRET_NAMES =
            "[\\w.\\-]*(?:password|passwd|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|account[_-]?key"
                    + "|private[_-]?key|sslkey|shared[_-]?access)[\\w.\\-]*";

    private static final Pattern SECRET_NAME = Pattern.compile(SECRET_NAMES, Pattern.CASE_INSENSITIVE);

    /**
     * {@code password=x}, {@code pwd = 'x y'}, {@code "token": "x"}; a value in braces may hold anything but a brace. A
     * parser's "unexpected token: x" (or "unrecognized") names a word of a statement that is shown anyway, and MySQL's
     * "(using password: YES)" tells only whether there was one.
     */
    private static final Pattern ASSIGNMENT = Pattern.compile(
            "(?i)(?<![\\w.\\-])(?<!unexpected )(?<!unrecognized )(" + SECRET_NAMES
                    + "[\"']?\\s*[=:]\\s*)(?!(?:YES|NO)\\))(\\{[^}]*\\}|\"[^\"]*\"|'[^']*'|[^\\s&;,)]+)");

    /**
     * {@code //user:secret@host}, up to the last '@': the secret itself may hold any character. The user name goes too,
     * it may be a key.
     */
    private static final Pattern USER_INFO = Pattern.compile("(?<=//)[^/\\s@]*:\\S*@");

    /** Oracle's {@code jdbc:oracle:thin:user/secret@host}. */
    private static final Pattern ORACLE_LOGIN = Pattern.compile("(?i)(jdbc:oracle:\\w+:)[^@/\\s]+/[^\\s]*@(?=[^@\\s]*)");

    /** A setting in a URL with its whole value, which ends only where the next setting begins. */
    private static final Pattern URL_SETTING =
            Pattern.compile("(?i)[?&;:(,](" + SECRET_NAMES + ")\\s*=\\s*(\\{(?:[^}]|\\}\\})*\\}|[^&;]*)");

    /** {@code //user:secret@} and {@code thin:user/secret@} in a URL. */
    private static final Pattern URL_LOGIN = Pattern.compile("(?://|thin:|oci:)[^/:@\\s]*[:/]([^\\s]*)@");

    /** {@code identified by 'x'} and {@code with password 'x'} in statements. */
    private static final Pattern SQL_PASSWORD = Pattern.compile(
            "(?i)\\b(identified\\s+by|(?:with\\s+)?(?:encrypted\\s+)?password)(\\s+(?:as\\s+)?)('(?:[^']|'')*'|\"[^\"]*\")");

    /** A shorter "secret" would only chop up messages (and is guessed in no time). */
    private static final int MIN_SECRET = 3;

    private static final List<String> SECRETS = new CopyOnWriteArrayList<>();

    private Redaction() {}

    /** Has {@code secret} replaced wherever it appears from now on, in plain and in URL-encoded form. */
    public static void addSecret(String secret) {
        if (secret == null || secret.length() < MIN_SECRET) {
            return;
        }
        List<String> forms = new ArrayList<>();
        forms.add(secret);
        forms.add(java.net.URLEncoder.encode(secret, java.nio.charset.StandardCharsets.UTF_8));
        forms.add(secret.replace("'", "''"));
        synchronized (SECRETS) {
            for (String form : forms) {
                if (!SECRETS.contains(form)) {
                    SECRETS.add(form);
                }
            }
            // Longest first: a secret that contains another one must go as a whole.
            SECRETS.sort((a, b) -> b.length() - a.length());
        }
    }

    /** Has the secrets that stand in a URL replaced wherever they appear from now on, for drivers that repeat them. */
    public static void addUrlSecrets(String url) {
        Matcher setting = URL_SETTING.matcher(url);
        while (setting.find()) {
            String value = setting.group(2).strip();
            addSecret(value);
            if (value.startsWith("{") && value.endsWith("}") && value.length() > 2) {
                addSecret(value.substring(1, value.length() - 1).replace("}}", "}"));
            }
            addSecret(decoded(value));
        }
        Matcher login = URL_LOGIN.matcher(url);
        while (login.find()) {
            addSecret(login.group(1));
            addSecret(decoded(login.group(1)));
        }
    }

    private static String decoded(String text) {
        try {
            return java.net.URLDecoder.decode(text, java.nio.charset.StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return text;
        }
    }

    /** True for the name of a property whose value must not be shown. */
    public static boolean isSecretName(String name) {
        return SECRET_NAME.matcher(name.toLowerCase(Locale.ROOT)).matches();
    }

    /** A message, a statement or a stack trace, without secrets. Null stays null. */
    public static String text(String text) {
        if (text == null) {
            return null;
        }
        String result = text;
        for (String secret : SECRETS) {
            if (result.contains(secret)) {
                result = result.replace(secret, STARS);
            }
        }
        if (result.indexOf('@') >= 0) {
            result = USER_INFO.matcher(result).replaceAll(STARS + "@");
            result = ORACLE_LOGIN.matcher(result).replaceAll("$1" + STARS + "@");
        }
        result = SQL_PASSWORD.matcher(result).replaceAll("$1$2'" + STARS + "'");
        Matcher assignment = ASSIGNMENT.matcher(result);
        return assignment.find() ? assignment.replaceAll("$1" + STARS) : result;
    }

    /** A JDBC URL without its secrets. */
    public static String url(String url) {
        return text(url);
    }
}
