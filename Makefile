# ldm-mac. `make run` makes a picture, `make test` proves the program; both install what they need.

# Builds bin/ldm-mac.
build: setup
	go build -trimpath -o bin/ldm-mac ./cmd/ldm-mac

# Draws a picture with the built-in model.
run: build
	@mkdir -p out
	./bin/ldm-mac run --prompt "a purple elephant, 3d render" --seed 1 --output out/elephant.png --force

# Formatting, vet, linter, all tests with cgo and without, on Metal, the darwin build; one summary.
test: setup setup-metal
	@.ci/test

# The tests of Metal alone: on a Mac's device, elsewhere on the software Metal.
test-metal: setup setup-metal
	. .ci/metal-env && go test -tags softmetal ./bridge/... ./shaders/... ./metal/... ./cmd/mslc/... && \
		go test -tags softmetal -run Metal ./cmd/ldm-mac

# Type-checks and links the whole program for darwin/arm64, on Linux.
check-darwin: setup-metal
	@.ci/check-darwin

# What takes long, by hand: race detector, fuzzing of every reader (FUZZTIME each), benchmarks.
FUZZTIME ?= 1m
long: setup
	go test -race ./...
	.ci/fuzz $(FUZZTIME)
	go test -run '^$$' -bench . -benchtime 2s ./ldm/...

# Installs a C compiler and OpenBLAS on Debian; on macOS the Command Line Tools have both.
setup:
	@.ci/setup

# Installs clang and GNUstep on Debian, for the software Metal.
setup-metal:
	@.ci/setup-metal

# Removes what was built and drawn.
clean:
	rm -rf bin out

.PHONY: build run test test-metal check-darwin long setup setup-metal clean
