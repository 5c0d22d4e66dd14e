#   make            builds every example into build/: build/saliency from examples/saliency.c
#   make deps       installs what is missing: a C compiler, the stb headers for PNG pictures
#   make gallery    runs every example, and makes a page of their pictures: build/gallery/index.html
#   make test       builds and runs all tests; the last line is the total
#   make bench      times kernels and networks  make train    trains the examples' network anew
#   make staircase  times a convolution from seven loops to all processors, step by step
#   make parity     compares every network with PyTorch (QUICK=1: small images)
#   make thumbs     makes README's pictures     make install PREFIX=/usr/local
#   make notebook-deps notebooks   runs the notebooks anew, and makes pages of them: build/notebooks
# With another compiler or other flags: make clean; make CC=clang CFLAGS="-O3 -std=gnu99"

CC = cc
# -O2: optimize as a student would; cnnvis.h finds the CPU's vector instructions by itself.
# -std=gnu99: C of 1999 and the system's functions; -Wall -Wextra: say what looks wrong.
CFLAGS = -O2 -std=gnu99 -Wall -Wextra
PREFIX = /usr/local
EXAMPLES = $(filter-out examples/gallery.c,$(wildcard examples/*.c))
PROGRAMS = $(EXAMPLES:examples/%.c=build/%)
LONGEST = networks adversarial compare synthesis codes
TESTS = $(patsubst %.c,build/%,$(wildcard tests/*.c))

all: $(PROGRAMS)

# As many jobs at once as there are processors (`make -j1`: one); but clean and deps come first.
MAKEFLAGS += $(if $(filter clean,$(MAKECMDGOALS)),,-j$(shell getconf _NPROCESSORS_ONLN))
FIRST = $(filter deps notebook-deps,$(MAKECMDGOALS))

# -fopenmp: use all processors, if a program with it compiles; tried once, when first needed.
OPENMP = $(eval OPENMP := $(shell mkdir -p build; \
	echo 'int main(void) { return omp_get_max_threads() < 1; }' >build/omp.c; \
	$(CC) -include omp.h -fopenmp build/omp.c -o build/omp 2>/dev/null && \
	echo -fopenmp))$(OPENMP)
# Threads that wait sleep: spinning instead costs far more when other programs run, too.
export OMP_WAIT_POLICY = passive
# Homebrew's headers lie where not every compiler looks. -lm: the library of sin, exp and sqrt.
FLAGS = $(CFLAGS) $(OPENMP) $(patsubst %/stb,-I%,$(wildcard /opt/homebrew/include/stb))
COMPILE = $(CC) $(FLAGS) $< $(LINKED) -o $@ $(LDFLAGS) -lm

build build/tests build/programs build/gallery build/peers build/notebooks: | $(FIRST)
	@mkdir -p $@
# The library once for all examples; alone, an example compiles what it needs of it by itself.
build/cnnvis.o: cnnvis.h | build
	$(CC) $(FLAGS) -DCNNVIS_IMPLEMENTATION -x c -c $< -o $@
$(PROGRAMS) $(TESTS) build/parity: LINKED = -DEXAMPLE_LINKED build/cnnvis.o
build/%: examples/%.c build/cnnvis.o $(wildcard examples/*.h) | build
	$(COMPILE)
build/compare build/custom build/sanity_check: $(wildcard examples/*.c) # they include heatmaps
build/tests/%: tests/%.c build/cnnvis.o $(wildcard tests/*.h examples/*.[ch]) | build/tests
	$(COMPILE)
BENCHES = build/bench build/networks build/staircase
$(BENCHES): build/%: bench/%.c cnnvis.h $(wildcard bench/*.h examples/*.h) | build
	$(COMPILE)
# The bench's peers, each if its library is there.
build/peers/onednn: LIBRARY = -ldnnl
build/peers/openblas: LIBRARY = -lopenblas
build/peers/%: bench/%.c bench/conversation.h bench/numbers.h | build/peers
	@$(CC) $(CFLAGS) $< -o $@ $(LDFLAGS) $(LIBRARY) 2>$@.log || echo 'without $@: see $@.log'
build/parity: tests/parity/parity.c build/cnnvis.o tests/check.h $(wildcard examples/*.[ch]) | build
	$(COMPILE) -Wno-unused-function
build/make_gallery: examples/gallery.c examples/exhibit.h examples/webpage.h cnnvis.h | build
	$(COMPILE)

gallery: build/make_gallery $(PROGRAMS) | build/gallery build/notebooks
	build/make_gallery $(notdir $(PROGRAMS))
thumbs: gallery
	build/make_gallery --thumbs $(notdir $(PROGRAMS))
train: build/train
	build/train --weights examples/data/toynet.safetensors --out build/train.png
	build/train --net smallnet --bias marker --weights examples/data/biased.safetensors \
		--out build/biased.png
	build/train --net smallnet --seed 2 --weights examples/data/second.safetensors \
		--out build/second.png
	build/train --net robustnet --robust 7 --from examples/data/toynet.safetensors --seed 2 \
		--rate 0.002 --scenes 15000 --images 72000 \
		--weights examples/data/robust.safetensors --out build/robust.png
bench: build/bench build/networks build/peers/onednn build/peers/openblas
	env -u OMP_WAIT_POLICY build/bench --peers
	env -u OMP_WAIT_POLICY build/networks
# It needs Debian's python3-torch and python3-torchvision; NETS="resnet18 vgg16": these alone.
parity: build/parity
	PATH="/usr/bin:$$PATH" python3 tests/parity/parity.py $(if $(NETS),--net $(NETS)) \
		$(if $(QUICK),--quick --seeds 1)
# Every example on every network, with random weights; it takes half an hour, or three times that.
matrix: $(PROGRAMS)
	@CC='$(CC)' sh tests/networks.sh $(NETS)
staircase: build/staircase
	build/staircase

# One after the other: a failing cell stops it. Pictures and numbers in the files are replaced.
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
notebooks: | build/notebooks
	@cd notebooks && export PYTHONDONTWRITEBYTECODE=1 PYDEVD_DISABLE_FILE_VALIDATION=1 && \
		for book in $(notdir $(NOTEBOOKS)); do \
		jupyter nbconvert --log-level WARN --to notebook --execute --inplace \
			--ExecutePreprocessor.record_timing=False $$book && \
		jupyter nbconvert --log-level WARN --to html --output-dir ../build/notebooks $$book && \
		echo "$$book is done" || exit 1; done

# A test that neither passes whole nor says what failed (it crashed, perhaps) counts as one failure.
RUN = >$@ 2>&1 && grep -q ' passed, 0 failed$$' $@ || grep -q 'passed, [1-9][0-9]* failed$$' $@ || \
	echo '0 passed, 1 failed' >>$@
build/tests/%.log: build/tests/% always
	@$< $(RUN)
build/programs/%.log: build/% tests/programs.sh always | build/programs
	@sh tests/programs.sh $< $(RUN)
build/programs/make_gallery.log: build/saliency
build/tests/readme.log: tests/programs.sh README.md cnnvis.h always | build/tests
	@CC='$(CC)' sh $< README.md $(RUN)
build/tests/networks.log: tests/networks.sh build/saliency build/gradcam build/lrp always | \
		build/tests
	@CC='$(CC)' PROGRAMS='saliency gradcam lrp' sh $< resnet18 googlenet $(RUN)
# What takes longest begins first, so that no processor waits for it in the end.
test: $(LONGEST:%=build/tests/%.log) $(TESTS:=.log) build/tests/networks.log \
		build/tests/readme.log build/programs/make_gallery.log \
		$(PROGRAMS:build/%=build/programs/%.log)
	@for log in $^; do echo "$$log:" | sed 's|.*/|--- |; s|.log:||'; cat $$log; done
	@awk '/^[0-9]+ passed, [0-9]+ failed$$/ { good += $$1; bad += $$3 } \
		END { printf "%d passed, %d failed\n", good, bad; exit bad > 0 }' $^

deps:
	@CC='$(CC)' sh .ci/deps
notebook-deps:
	@CC='$(CC)' sh .ci/deps notebooks
install:
	install -d '$(DESTDIR)$(PREFIX)/include'
	install -m 644 cnnvis.h '$(DESTDIR)$(PREFIX)/include'
clean:
	rm -rf build
always:
.SECONDARY:
.PHONY: all gallery thumbs train bench parity matrix staircase notebooks test deps notebook-deps \
	install clean always
