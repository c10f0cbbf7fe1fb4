"""Writes the small pictures that Go's encoders cannot make. Made with Pillow 13.0.0."""

import io

from PIL import Image, ImageCms, ImageOps

W, H = 24, 16
rgb = Image.new("RGB", (W, H))
rgb.putdata([(10 * x, 15 * y, 128) for y in range(H) for x in range(W)])
rgba = rgb.copy()
rgba.putalpha(Image.frombytes("L", (W, H), bytes(255 if x < 12 else 16 * y for y in range(H) for x in range(W))))
profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e


def turned(orientation, image):
    """The image as a file of that orientation stores it."""
    undo = {3: 3, 6: 8, 8: 6}[orientation]
    image = image.copy()
    image.getexif()[0x0112] = undo
    return ImageOps.exif_transpose(image)


rgb.save("progressive.jpg", quality=95, progressive=True, subsampling=0)
rgb.convert("CMYK").save("cmyk.jpg", quality=95)
rgb.convert("L").save("grey.jpg", quality=95)
turned(6, rgb).save("orientation6.jpg", quality=95, subsampling=0, exif=exif(6), icc_profile=profile)
turned(8, rgba).save("orientation8.webp", quality=95, exact=True, exif=exif(8), icc_profile=profile)
turned(3, rgba).save("orientation3.png", exif=exif(3), icc_profile=profile)
turned(6, rgb).save("orientation6.tif", compression="tiff_lzw", tiffinfo=exif(6), icc_profile=profile)
rgb.quantize(16).save("palette.png", bits=4)

# A lossy WebP and its pixels, by libwebp.
noise = Image.frombytes("RGBA", (13, 11), bytes((i * 7919 + i * i * 31) % 256 for i in range(13 * 11 * 4)))
noise.save("lossy.webp", quality=60, exact=True)
Image.open("lossy.webp").convert("RGBA").save("lossy.png")
