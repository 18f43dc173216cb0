"""Every format that mmsprep can name, as data.

Comes in: nothing. Goes out: :data:`FORMATS`, slug to :class:`Format`. Never: code that looks at bytes
(``sniff.py`` does) or knows what a network accepts (profiles do).
"""

from __future__ import annotations

from dataclasses import dataclass

from mmsprep.model import Kind


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its slug, how people call it, its canonical MIME type and file extension.

    ``kind`` is ``None`` for what is never sent. ``demuxer`` is the ffmpeg demuxer that is forced on it,
    ``None`` where ffmpeg does not read it. ``also_named`` are further extensions that people give such files,
    with blanks between them.
    """

    slug: str
    title: str
    kind: Kind | None
    content_type: str
    extension: str
    demuxer: str | None = None
    also_named: str = ""

    @property
    def extensions(self) -> frozenset[str]:
        """Every extension that is honest for this format, in small letters, without the dot."""
        return frozenset((self.extension, *self.also_named.split()))


def _image(slug: str, title: str, content_type: str, extension: str, also_named: str = "") -> Format:
    return Format(slug, title, Kind.IMAGE, content_type, extension, None, also_named)


def _audio(
    slug: str, title: str, content_type: str, extension: str, demuxer: str | None, also_named: str = ""
) -> Format:
    return Format(slug, title, Kind.AUDIO, content_type, extension, demuxer, also_named)


def _video(slug: str, title: str, content_type: str, extension: str, demuxer: str, also_named: str = "") -> Format:
    return Format(slug, title, Kind.VIDEO, content_type, extension, demuxer, also_named)


def _refused(slug: str, title: str, content_type: str, extension: str, also_named: str = "") -> Format:
    return Format(slug, title, None, content_type, extension, None, also_named)


FORMATS: dict[str, Format] = {
    entry.slug: entry
    for entry in (
        _image("jpeg", "JPEG", "image/jpeg", "jpg", "jpeg jpe jfif mpo"),
        _image("png", "PNG", "image/png", "png", "apng"),
        _image("gif", "GIF", "image/gif", "gif"),
        _image("bmp", "BMP", "image/bmp", "bmp", "dib"),
        _image("tiff", "TIFF", "image/tiff", "tif", "tiff"),
        _image("webp", "WebP", "image/webp", "webp"),
        _image("heic", "HEIC", "image/heic", "heic", "heif hif"),
        _image("avif", "AVIF", "image/avif", "avif", "avifs heif"),
        _image("jp2", "JPEG 2000", "image/jp2", "jp2", "j2k jpf jpx jpm j2c jpc"),
        _image("jxl", "JPEG XL", "image/jxl", "jxl"),
        _image("ico", "Windows icon", "image/vnd.microsoft.icon", "ico", "cur"),
        _image("wbmp", "WBMP", "image/vnd.wap.wbmp", "wbmp"),
        _image("pnm", "PNM", "image/x-portable-anymap", "pnm", "pbm pgm ppm"),
        _image("tga", "Targa", "image/x-tga", "tga", "icb vda vst"),
        _image("pcx", "PCX", "image/x-pcx", "pcx"),
        _image("icns", "Apple icon", "image/x-icns", "icns"),
        _image("dds", "DirectDraw surface", "image/x-dds", "dds"),
        _image("psd", "Photoshop", "image/vnd.adobe.photoshop", "psd"),
        _image("dng", "camera raw", "image/x-adobe-dng", "dng", "nef arw cr2 cr3 orf rw2 pef raf srw tif"),
        _audio("wav", "WAV", "audio/wav", "wav", "wav", "wave rf64"),
        _audio("aiff", "AIFF", "audio/aiff", "aiff", "aiff", "aif aifc"),
        _audio("caf", "CAF", "audio/x-caf", "caf", "caf"),
        _audio("mp3", "MP3", "audio/mpeg", "mp3", "mp3", "mp2 mpga"),
        _audio("aac", "AAC", "audio/aac", "aac", "aac", "adts"),
        _audio("m4a", "M4A", "audio/mp4", "m4a", "mov", "m4b m4r mp4 3gp 3ga mov"),
        _audio("ogg", "Ogg audio", "audio/ogg", "ogg", "ogg", "oga opus spx"),
        _audio("flac", "FLAC", "audio/flac", "flac", "flac"),
        _audio("wma", "WMA", "audio/x-ms-wma", "wma", "asf", "asf"),
        _audio("amr", "AMR", "audio/amr", "amr", "amr", "3ga"),
        _audio("amr-wb", "AMR-WB", "audio/amr-wb", "awb", "amr", "amr"),
        _audio("au", "AU", "audio/basic", "au", "au", "snd"),
        _audio("wv", "WavPack", "audio/x-wavpack", "wv", "wv"),
        _audio("mpc", "Musepack", "audio/x-musepack", "mpc", "mpc", "mp+ mpp"),
        _audio("mpc8", "Musepack", "audio/x-musepack", "mpc", "mpc8", "mp+ mpp"),
        _audio("ape", "Monkey's Audio", "audio/x-ape", "ape", "ape"),
        _audio("tta", "True Audio", "audio/x-tta", "tta", "tta"),
        _audio("dsf", "DSF", "audio/x-dsf", "dsf", "dsf"),
        _audio("w64", "Wave64", "audio/x-w64", "w64", "w64", "wav"),
        _audio("voc", "Creative Voice", "audio/x-voc", "voc", "voc"),
        _audio("qcp", "QCP", "audio/qcelp", "qcp", "qcp"),
        _audio("evrc", "EVRC", "audio/evrc", "evc", None, "evrc"),
        _audio("latm", "AAC in LATM", "audio/MP4A-LATM", "latm", "loas", "loas"),
        _audio("ac3", "AC-3", "audio/ac3", "ac3", "ac3"),
        _audio("eac3", "E-AC-3", "audio/eac3", "eac3", "eac3", "ec3 ac3"),
        _audio("mka", "Matroska audio", "audio/x-matroska", "mka", "matroska", "mkv webm weba"),
        _audio("midi", "MIDI", "audio/midi", "mid", None, "midi kar rmi smf"),
        _audio("imelody", "iMelody", "audio/imelody", "imy", None),
        _audio("emelody", "eMelody", "text/x-emelody", "emy", None),
        _video("mp4", "MP4", "video/mp4", "mp4", "mov", "m4v f4v mov 3gp"),
        _video("mov", "QuickTime", "video/quicktime", "mov", "mov", "qt mp4"),
        _video("3gp", "3GP", "video/3gpp", "3gp", "mov", "3gpp mp4"),
        _video("3g2", "3G2", "video/3gpp2", "3g2", "mov", "3gpp2 3gp mp4"),
        _video("avi", "AVI", "video/x-msvideo", "avi", "avi", "divx"),
        _video("mkv", "Matroska", "video/x-matroska", "mkv", "matroska", "mk3d webm"),
        _video("webm", "WebM", "video/webm", "webm", "matroska"),
        _video("flv", "Flash video", "video/x-flv", "flv", "flv"),
        _video("mpeg-ps", "MPEG programme stream", "video/mpeg", "mpg", "mpeg", "mpeg vob mpe m2p"),
        _video("mpeg-ts", "MPEG transport stream", "video/mp2t", "ts", "mpegts", "m2ts mts m2t tsv"),
        _video("mpeg-video", "MPEG video", "video/mpeg", "m2v", "mpegvideo", "m1v mpv mpg mpeg"),
        _video("wmv", "WMV", "video/x-ms-wmv", "wmv", "asf", "asf"),
        _video("ogv", "Ogg video", "video/ogg", "ogv", "ogg", "ogg ogm"),
        Format("text", "text", Kind.TEXT, "text/plain", "txt", also_named="text csv md log srt vtt json ini"),
        Format("vcard", "vCard", Kind.TEXT, "text/x-vcard", "vcf", also_named="vcard"),
        Format("icalendar", "calendar entry", Kind.TEXT, "text/calendar", "ics", also_named="ical ifb vcs"),
        _refused("pdf", "PDF document", "application/pdf", "pdf"),
        _refused(
            "office",
            "Office document",
            "application/octet-stream",
            "docx",
            "doc xls xlsx ppt pptx odt ods odp rtf epub pages",
        ),
        _refused("email", "e-mail message", "message/rfc822", "eml", "mht mhtml mbox"),
        _refused("postscript", "PostScript document", "application/postscript", "ps", "eps ai"),
        _refused("zip", "ZIP archive", "application/zip", "zip", "jar apk kmz"),
        _refused("archive", "archive", "application/octet-stream", "tar", "gz tgz 7z rar xz bz2 zst cab"),
        _refused("executable", "program", "application/octet-stream", "exe", "dll so elf msi"),
        _refused("html", "HTML page", "text/html", "html", "htm xhtml"),
        _refused("svg", "SVG drawing", "image/svg+xml", "svg"),
        _refused("xml", "XML document", "application/xml", "xml"),
        _refused("smil", "SMIL presentation", "application/smil", "smil"),
        _refused("playlist", "playlist", "audio/x-mpegurl", "m3u8", "m3u pls mpd sdp cue xspf asx wpl"),
        _refused("concat", "ffmpeg script", "text/plain", "txt"),
        _refused("font", "font", "font/sfnt", "ttf", "otf woff woff2 ttc eot"),
        _refused("dcf", "OMA DRM file", "application/vnd.oma.drm.content", "dcf", "dm odf"),
    )
}
