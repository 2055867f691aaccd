package jrunner.kinds;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;

/** The code pages of Windows and DOS, by their numbers, as charsets of Java. */
final class CodePages {
    private CodePages() {}

    /** ASCII for a number that this Java does not know: what all of them have. */
    static Charset charset(int page) {
        for (String name : new String[] {name(page), "windows-" + page, "IBM" + page}) {
            if (Charset.isSupported(name)) {
                return Charset.forName(name);
            }
        }
        return StandardCharsets.US_ASCII;
    }

    private static String name(int page) {
        switch (page) {
            case 874:
                return "x-windows-874";
            case 932:
                return "windows-31j";
            case 936:
                return "x-mswin-936";
            case 949:
                return "x-windows-949";
            case 950:
                return "x-windows-950";
            default:
                return "windows-" + page;
        }
    }
}
