/* A program that includes stb_image.h before cnnvis.h reads PNG, too: what cnv_image_save wrote
   comes back, gray as gray and colours as colours. Without stb there is nothing to test but the
   sentence that says so.
     cc -O2 tests/files_stb.c -o build/files_stb -lm && build/files_stb [a folder: build] */
#ifdef __has_include
#if __has_include(<stb/stb_image.h>)
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#endif
#endif
#define CNNVIS_STATIC
#define CNNVIS_NO_SIMD /* files need no kernels */
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"
#include "check.h"

int main(int argc, char **argv)
{
    cnv_real data[3 * 256];
    cnv_tensor back = {0, 0, 0, 0, 0, 0};
    char path[256];
    int c, i, wrong;
    snprintf(path, sizeof path, "%.200s/files_stb.png", argc > 1 ? argv[1] : "build");
    for (i = 0; i < 3 * 256; i++) data[i] = (cnv_real)(i * (i / 256 * 2 + 1) % 256) / 255;
    for (c = 1; c <= 3; c += 2) {
        cnv_tensor image = cnv_tensor_view(data, 1, c, 8, 32);
        int saved = cnv_image_save(path, &image);
#if defined STBI_VERSION && defined INCLUDE_STB_IMAGE_WRITE_H
        CHECK(saved, "%s", cnv_error());
        CHECK(cnv_image_load(path, &back), "%s", cnv_error());
        CHECK(back.n == 1 && back.c == c && back.h == 8 && back.w == 32, "%d channels", back.c);
        for (i = 0, wrong = 0; back.data && back.c == c && i < c * 256; i++)
            wrong += back.data[i] != data[i];
        CHECK(wrong == 0, "%d of %d samples are wrong", wrong, c * 256);
#else
        (void)wrong;
        CHECK(saved || strstr(cnv_error(), "stb_image_write.h"), "%s", cnv_error());
#endif
    }
    remove(path);
#ifdef STBI_VERSION
    {
        FILE *f = fopen(path, "wb");
        if (f) fputs("\x89PNG\r\n\x1a\nand no more", f), fclose(f);
        CHECK(!cnv_image_load(path, &back), "read half a PNG");
        CHECK(strstr(cnv_error(), path), "\"%s\" does not name the file", cnv_error());
        remove(path);
    }
#endif
    cnv_tensor_free(&back);
    return check_report();
}
