#!/bin/sh
# Tests the example programs from outside, and the program in README.md:
#
#     sh tests/programs.sh README.md build/saliency build/gradcam ...
#
# Each must work as it is and show its help; each must refuse what cannot be (a file that is
# missing, truncated or nonsense, an unknown layer, class, option or network, an option without its
# value) with one sentence and an exit status of its own, never by a crash. So that this takes
# seconds, programs that measure do it on few scenes here; `make gallery` runs them as they are.
# The last line is "N passed, N failed".
root=$(pwd)
weights=$root/examples/data/toynet.safetensors
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
ln -s "$root/examples" "$folder/examples" # a folder like this one, but empty
cd "$folder" || exit 1
export OMP_NUM_THREADS=1 # other tests run at the same time
passed=0 failed=0

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "$*"
}

# Runs a command; its exit status is then in $status, what it said in the files out and err.
run() {
    command="$*"
    "$@" >out 2>err </dev/null
    status=$?
}

accepted() {
    run "$@"
    if [ $status = 0 ]; then pass; else fail "$command: exit status $status: $(head -n 3 err)"; fi
}

# A sentence, a status that says no, and no signal (which would be 128 and more).
refused() {
    run "$@"
    if [ $status = 0 ]; then fail "$command: went through"
    elif [ $status -ge 128 ]; then fail "$command: crashed with status $status"
    elif [ "$(wc -l <err)" != 1 ]; then fail "$command: not one line: $(head -n 3 err)"
    else pass; fi
}

accepted_or_refused() {
    run "$@"
    if [ $status = 0 ] || { [ $status -lt 128 ] && [ "$(wc -l <err)" = 1 ]; }; then pass
    else fail "$command: exit status $status: $(head -n 3 err)"; fi
}

# Options with which a program takes less time than it would by itself.
quick() {
    case $1 in
    train) echo --images 320 --scenes 100 ;;
    top_images | top_patches | random_directions | nearest | pca | tsne | umap) echo --images 64 ;;
    class_max) echo --steps 1 ;;
    receptive_field) echo --images 60 --units 1 ;;
    dissection) echo --images 20 ;;
    tcav) echo --images 12 ;;
    sanity_check) echo --images 1 ;;
    feature_vis) echo --images 20 --steps 2 ;;
    building_blocks) echo --steps 2 --scenes 1 ;;
    deepdream) echo --octaves 2 --steps 1 --size 320 ;; # 260 is too small for cats_vs_dogs
    inversion) echo --steps 2 ;;
    texture) echo --size 80 --steps 1 ;;
    style_transfer) echo --size 48 --steps 2 ;;
    fast_style) echo --size 64 --steps 2 ;;
    integrated_gradients) echo --steps 5 --scenes 2 ;;
    smoothgrad) echo --copies 5 --scenes 2 ;;
    scorecam | compare) echo --scenes 1 ;;
    targeted) echo --images 2 --steps 2 --eps 8 ;;
    fooling) echo --images 2 --steps 2 ;;
    transfer) echo --images 2 --questions 4 --epochs 1 ;;
    physical) echo --images 1 --steps 2 --shots 2 ;;
    *) if grep -q '^  --scenes' help; then echo --scenes 2
       elif grep -q '^  --images' help; then echo --images 4; fi ;;
    esac
}

make_files() {
    printf 'P6 1 1 255\nabc' >one.ppm
    { printf 'P5 9 7 255\n' && head -c 63 "$root/README.md"; } >grey.pgm
    printf 'P6 64 64 255\nabc' >truncated.ppm
    echo 'this is no picture and no network' >nonsense
    head -c 5000 "$weights" >truncated.safetensors
    { head -c -4 "$weights" && printf '\0\0\300\177'; } >nan.safetensors
}

# $1: the program; $2 ...: its quick options
test_files() {
    for option in --image --weights; do
        refused "$@" $option missing
        refused "$@" $option nonsense
        refused "$@" $option .
    done
    refused "$@" --image truncated.ppm
    refused "$@" --weights truncated.safetensors
    refused "$@" --out left.png --layer nowhere
    if [ -e left.png ]; then fail "$name: leaves a picture without having drawn it"; else pass; fi
    refused "$@" --class nothing
    refused "$@" --class 1000000
    refused "$@" --net nonet
    refused "$@" --net alexnet # whose weights do not come along
    accepted_or_refused "$@" --out quick.ppm --image one.ppm # PNG would take longer
    accepted_or_refused "$@" --out quick.ppm --image grey.pgm
}

test_program() {
    name=$(basename "$1")
    accepted "$1" --help
    cp out help
    if grep -q '^  --out  *[^ ]' help && ! grep -q '^  --[a-z]* *$' help; then pass
    else fail "$name --help: does not say what an option means"; fi
    # shellcheck disable=SC2046
    set -- "$1" $(quick "$name")
    accepted "$@"
    if [ -s "$name.png" ]; then pass; else fail "$name: wrote no $name.png"; fi
    refused "$@" --nonsense 1
    refused "$@" nonsense
    refused "$@" --seed
    refused "$@" --seed soon
    refused "$@" --out nowhere/picture.png
    if [ -s out ]; then fail "$name: works before it finds that it cannot write"; else pass; fi
    case $name in
    toybox | train) ;; # these read neither a network nor a picture
    *) test_files "$@" ;;
    esac
    if [ "$name" = saliency ]; then refused "$@" --weights nan.safetensors; fi
    if grep -qE "^ *cc .*examples/$name.c -o build/$name -lm( && build/$name| )" \
        "$root/examples/$name.c"
    then pass; else fail "examples/$name.c: the comment does not say how to compile it"; fi
}

# The program in README.md, exactly as it stands there, where cnnvis.h lies and nothing else.
test_readme() {
    mkdir readme && cp "$root/cnnvis.h" readme && cd readme || return
    awk '/^```c/ { inside = 1; next } /^```/ { if (inside) exit } inside' "$root/README.md" >me.c
    line=$(sed -n 's/^ *cc \(.*me\.c.*\)/\1/p' "$root/README.md" | head -n 1)
    if [ -s me.c ] && [ -n "$line" ]; then pass; else fail "README.md: no program, or no line"; fi
    accepted sh -c "${CC:-cc} $line"
    if [ -s me.png ] || [ -s me.ppm ]; then pass; else fail "README.md: drew nothing"; fi
    cd ..
}

# What train leaves behind can be shown again; what is no record cannot.
test_record() {
    accepted "$1" --show toynet.safetensors
    refused "$1" --show missing
    refused "$1" --show nonsense
    cp toynet.safetensors toynet.history.safetensors # weights are no record
    refused "$1" --show toynet.safetensors
    refused "$1" --class fish # it makes its network itself
}

# With answers and without: the quiz ends with a picture of both.
test_quiz() {
    printf 'fish\n11\nnonsense\nbi\n' >answers
    "$1" --scenes 5 <answers >out 2>err
    if [ "$(grep -c 'you [01] of 1$' out)" = 3 ]; then pass
    else fail "human_vs_net: three answers, and it says: $(cat out err)"; fi
}

# What a page of the gallery must say, or must not: $1 a pattern, $2 how often, $3 the file
says() {
    if [ "$(grep -c "$1" "$3")" = "$2" ]; then pass
    else fail "gallery: \"$1\" is not $2 times in $3: $(head -n 9 "$3")"; fi
}

# A program that works, one that fails and one that draws nothing, at the same time: $1 the gallery,
# $2 the one that works. They are run from the last lesson on, and stand there from the first.
test_gallery() {
    mkdir -p build/gallery
    cp "$2" build/saliency
    printf '#!/bin/sh\necho "toybox: it broke" >&2\nexit 3\n' >build/toybox
    printf '#!/bin/sh\nsleep 1\necho "threads: $OMP_NUM_THREADS"\n' >build/fgsm
    chmod +x build/toybox build/fgsm
    run env OMP_NUM_THREADS=7 "$1" fgsm saliency toybox nothing
    if [ $status = 1 ]; then pass; else fail "gallery: exit status $status"; fi
    says 'toybox  *failed with exit status 3: toybox: it broke' 1 out
    says 'fgsm  *wrote no picture' 1 out
    says 'saliency  *[0-9.]* s$' 1 out
    says '3 examples, 3 failed' 1 out
    says 'This program failed with exit status 3' 1 build/gallery/index.html
    says 'toybox: it broke' 1 build/gallery/index.html
    says 'threads: 1$' 1 build/gallery/index.html
    says '<img src="saliency.png" alt="Saliency' 1 build/gallery/index.html
    says '^:root { color-scheme' 1 build/gallery/index.html # its style sheet
    if [ "$(sed -n 's/^<section id="\([a-z]*\)".*/\1/p' build/gallery/index.html | tr '\n' ' ')" = \
        "overview toybox saliency fgsm " ]; then pass; else fail "gallery: another order"; fi
}

make_files
for program in "$@"; do
    case $program in
    README.md) test_readme ;;
    */make_gallery) test_gallery "$root/$program" "$root/build/saliency" ;;
    *) test_program "$root/$program" ;;
    esac
    case $program in
    */train) test_record "$root/$program" ;;
    */human_vs_net) test_quiz "$root/$program" ;;
    esac
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
