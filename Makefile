# ldm-mac. `make run` makes a picture, `make test` proves the program; both install what they need.

# Builds bin/ldm-mac.
build: setup
	go build -trimpath -o bin/ldm-mac ./cmd/ldm-mac

# Draws a picture with the built-in model.
run: build
	@mkdir -p out
	./bin/ldm-mac run --prompt "a purple elephant, 3d render" --seed 1 --output out/elephant.png --force

# Formatting, vet, linter, all tests with cgo and without, the darwin build; one summary.
test: setup
	@.ci/test

# What takes long, by hand: race detector, fuzzing of every reader (FUZZTIME each), benchmarks.
FUZZTIME ?= 1m
long: setup
	go test -race ./...
	.ci/fuzz $(FUZZTIME)
	go test -run '^$$' -bench . -benchtime 2s ./ldm/...

# Installs a C compiler and OpenBLAS on Debian; on macOS the Command Line Tools have both.
setup:
	@.ci/setup

# Removes what was built and drawn.
clean:
	rm -rf bin out

.PHONY: build run test long setup clean
