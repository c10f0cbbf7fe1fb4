package compvis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"ldm-mac/ldm/checkpoint"
)

// weightFiles are the names in the folder of all files of weights, sorted, without repetition.
func weightFiles(folder *checkpoint.Folder) ([]string, error) {
	names := map[string]bool{}
	for name, c := range folder.Components {
		if !hasWeights(c) {
			continue
		}
		files, err := folder.WeightFiles(name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			names[file] = true
		}
	}
	return sortedKeys(names), nil
}

// digests are the SHA-256 of all files of weights in hexadecimal. count, which may be nil, is told
// the bytes read.
func digests(ctx context.Context, folder *checkpoint.Folder, count func(n int)) (map[string]string, error) {
	names, err := weightFiles(folder)
	if err != nil {
		return nil, err
	}
	sums := make(map[string]string, len(names))
	for _, name := range names {
		file, err := folder.OpenFile(name)
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		_, err = io.Copy(io.MultiWriter(sum, counter{ctx, count}), file)
		file.Close()
		if err != nil {
			return nil, err
		}
		sums[name] = hex.EncodeToString(sum.Sum(nil))
	}
	return sums, nil
}

// counter tells count what is written to it, until ctx ends.
type counter struct {
	ctx   context.Context
	count func(n int)
}

func (c counter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if c.count != nil {
		c.count(len(p))
	}
	return len(p), nil
}
