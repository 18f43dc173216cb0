"""Formats that are a row and nothing more: their magic is sure, and Pillow, MediaInfo or ffmpeg knows the rest.

Comes in: nothing. Goes out: rows. Never: a look.
"""

from __future__ import annotations

from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

"""In front of every unit of an H.264 or HEVC stream (ITU-T H.264, H.265, annex B)."""

register(
    Format(
        slug="icns",
        title="Apple icon",
        kind=Kind.IMAGE,
        content_type="image/x-icns",
        extension="icns",
        magics=(((0, b"icns\x00"),),),
        decoder="PIL.IcnsImagePlugin:IcnsImageFile",
    )
)
register(
    Format(
        slug="dds",
        title="DirectDraw surface",
        kind=Kind.IMAGE,
        content_type="image/x-dds",
        extension="dds",
        magics=(((0, b"DDS \x7c\x00\x00\x00"),),),
        decoder="PIL.DdsImagePlugin:DdsImageFile",
    )
)
register(
    Format(
        slug="qoi",
        title="QOI",
        kind=Kind.IMAGE,
        content_type="image/qoi",
        extension="qoi",
        magics=(((0, b"qoif\x00\x00"),),),
        decoder="PIL.QoiImagePlugin:QoiImageFile",
    )
)
register(
    Format(
        slug="sun",
        title="Sun raster",
        kind=Kind.IMAGE,
        content_type="image/x-sun-raster",
        extension="ras",
        also_named="sun im1 im8 im24",
        magics=(((0, b"\x59\xa6\x6a\x95"),),),
        decoder="PIL.SunImagePlugin:SunImageFile",
    )
)
register(
    Format(
        slug="xpm",
        title="X pixmap",
        kind=Kind.IMAGE,
        content_type="image/x-xpixmap",
        extension="xpm",
        magics=(((0, b"/* XPM */"),),),
        decoder="PIL.XpmImagePlugin:XpmImageFile",
    )
)
register(
    Format(
        slug="psd",
        title="Photoshop",
        kind=Kind.IMAGE,
        content_type="image/vnd.adobe.photoshop",
        extension="psd",
        magics=(((0, b"8BPS\x00\x01"),),),
        decoder="mmsprep.tools.photoshop:PsdPicture",
    )
)
register(
    Format(
        slug="jp2",
        title="JPEG 2000",
        kind=Kind.IMAGE,
        content_type="image/jp2",
        extension="jp2",
        also_named="j2k jpf jpx jpm j2c jpc",
        magics=(
            ((0, b"\x00\x00\x00\x0cjP  \r\n\x87\n"),),
            ((0, b"\xff\x4f\xff\x51"),),
        ),
        decoder="mmsprep.tools.jpeg2000:Jpeg2000Picture",
    )
)
register(
    Format(
        slug="au",
        title="AU",
        kind=Kind.AUDIO,
        content_type="audio/basic",
        extension="au",
        demuxer="au",
        also_named="snd",
        magics=(((0, b".snd\x00\x00"),),),
        codec="pcm",
    )
)
register(
    Format(
        slug="wv",
        title="WavPack",
        kind=Kind.AUDIO,
        content_type="audio/x-wavpack",
        extension="wv",
        demuxer="wv",
        magics=(((0, b"wvpk"),),),
        codec="wavpack",
    )
)
register(
    Format(
        slug="mpc",
        title="Musepack",
        kind=Kind.AUDIO,
        content_type="audio/x-musepack",
        extension="mpc",
        demuxer="mpc",
        also_named="mp+ mpp",
        magics=(
            ((0, b"MP+\x07"),),
            ((0, b"MP+\x17"),),
        ),
        codec="musepack7",
    )
)
register(
    Format(
        slug="mpc8",
        title="Musepack",
        kind=Kind.AUDIO,
        content_type="audio/x-musepack",
        extension="mpc",
        demuxer="mpc8",
        also_named="mp+ mpp",
        magics=(((0, b"MPCK"),),),
        codec="musepack8",
    )
)
register(
    Format(
        slug="ape",
        title="Monkey's Audio",
        kind=Kind.AUDIO,
        content_type="audio/x-ape",
        extension="ape",
        demuxer="ape",
        magics=(((0, b"MAC "),),),
        codec="ape",
    )
)
register(
    Format(
        slug="tta",
        title="True Audio",
        kind=Kind.AUDIO,
        content_type="audio/x-tta",
        extension="tta",
        demuxer="tta",
        magics=(((0, b"TTA1"),),),
        codec="tta",
    )
)
register(
    Format(
        slug="tak",
        title="TAK",
        kind=Kind.AUDIO,
        content_type="audio/x-tak",
        extension="tak",
        demuxer="tak",
        magics=(((0, b"tBaK"),),),
        codec="tak",
    )
)
register(
    Format(
        slug="dff",
        title="DSDIFF",
        kind=Kind.AUDIO,
        content_type="audio/x-dff",
        extension="dff",
        demuxer="iff",
        magics=(((0, b"FRM8"), (12, b"DSD ")),),
        codec="dsd",
    )
)
register(
    Format(
        slug="dsf",
        title="DSF",
        kind=Kind.AUDIO,
        content_type="audio/x-dsf",
        extension="dsf",
        demuxer="dsf",
        magics=(((0, b"DSD \x1c\x00\x00\x00"),),),
        codec="dsd",
    )
)
register(
    Format(
        slug="w64",
        title="Wave64",
        kind=Kind.AUDIO,
        content_type="audio/x-w64",
        extension="w64",
        demuxer="w64",
        indexed=True,
        also_named="wav",
        magics=(((0, bytes.fromhex("726966662e91cf11a5d628db04c10000")),),),
        codec="pcm",
    )
)
register(
    Format(
        slug="voc",
        title="Creative Voice",
        kind=Kind.AUDIO,
        content_type="audio/x-voc",
        extension="voc",
        demuxer="voc",
        magics=(((0, b"Creative Voice File\x1a"),),),
        codec="pcm",
    )
)
register(
    Format(
        slug="shn",
        title="Shorten",
        kind=Kind.AUDIO,
        content_type="audio/x-shorten",
        extension="shn",
        demuxer="shn",
        magics=(((0, b"ajkg"),),),
        codec="shorten",
    )
)
register(
    Format(
        slug="dts",
        title="DTS",
        kind=Kind.AUDIO,
        content_type="audio/vnd.dts",
        extension="dts",
        demuxer="dts",
        magics=(((0, b"\x7f\xfe\x80\x01"),), ((0, b"\xfe\x7f\x01\x80"),)),
        codec="dts",
    )
)
register(
    Format(
        slug="tracker",
        title="tracker module",
        kind=Kind.AUDIO,
        content_type="audio/x-mod",
        extension="mod",
        demuxer="libopenmpt",
        also_named="xm it s3m",
        magics=(
            ((0, b"Extended Module: "),),
            ((0, b"IMPM"),),
            ((28, b"\x1a\x10\x00\x00"), (44, b"SCRM")),
            *(((1080, mark),) for mark in (b"M.K.", b"M!K!", b"FLT4", b"4CHN", b"6CHN", b"8CHN")),
        ),
        codec="pcm",
    )
)
register(
    Format(
        slug="sphere",
        title="NIST SPHERE",
        kind=Kind.AUDIO,
        content_type="audio/x-nist",
        extension="sph",
        demuxer="nistsphere",
        also_named="nist wav",
        magics=(((0, b"NIST_1A\n   1024\n"),),),
        codec="pcm",
    )
)
register(
    Format(
        slug="rm",
        title="RealMedia",
        kind=Kind.VIDEO,
        content_type="application/vnd.rn-realmedia",
        extension="rm",
        demuxer="rm",
        also_named="ra rmvb rv",
        magics=(((0, b".RMF\x00\x00"),), ((0, b".ra\xfd\x00"),)),
    )
)
register(
    Format(
        slug="mxf",
        title="MXF",
        kind=Kind.VIDEO,
        content_type="application/mxf",
        extension="mxf",
        demuxer="mxf",
        magics=(((0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02"),),),
    )
)
register(
    Format(
        slug="dv",
        title="DV",
        kind=Kind.VIDEO,
        content_type="video/dv",
        extension="dv",
        demuxer="dv",
        also_named="dif",
        # The first block of a frame of 525 or of 625 lines: IEC 61834-2, 11.4.
        magics=(((0, b"\x1f\x07\x00\x3f"),), ((0, b"\x1f\x07\x00\xbf"),)),
    )
)
register(
    Format(
        slug="ivf",
        title="IVF",
        kind=Kind.VIDEO,
        content_type="video/x-ivf",
        extension="ivf",
        demuxer="ivf",
        magics=(((0, b"DKIF\x00\x00"),),),
    )
)
register(
    Format(
        slug="y4m",
        title="YUV4MPEG2",
        kind=Kind.VIDEO,
        content_type="video/x-yuv4mpeg",
        extension="y4m",
        demuxer="yuv4mpegpipe",
        magics=(((0, b"YUV4MPEG2 "),),),
    )
)
register(
    Format(
        slug="flv",
        title="Flash video",
        kind=Kind.VIDEO,
        content_type="video/x-flv",
        extension="flv",
        demuxer="flv",
        magics=(((0, b"FLV\x01"),),),
    )
)
register(
    Format(
        slug="mpeg-ps",
        title="MPEG programme stream",
        kind=Kind.VIDEO,
        content_type="video/mpeg",
        extension="mpg",
        demuxer="mpeg",
        also_named="mpeg vob mpe m2p",
        magics=(((0, b"\x00\x00\x01\xba"),),),
    )
)
register(
    Format(
        slug="mpeg-video",
        title="MPEG video",
        kind=Kind.VIDEO,
        content_type="video/mpeg",
        extension="m2v",
        demuxer="mpegvideo",
        also_named="m1v mpv mpg mpeg",
        magics=(((0, b"\x00\x00\x01\xb3"),),),
    )
)
