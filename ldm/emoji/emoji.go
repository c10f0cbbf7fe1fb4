// Package emoji holds the model that is built into the program: a small latent text-to-image model
// of emoji in the layout of diffusers' LDMTextToImagePipeline, so that a picture needs no download.
package emoji

import (
	"embed"
	"io/fs"
)

// Name is what users call the model.
const Name = "emoji"

// Settings that suit the model.
const (
	Steps         = 25
	GuidanceScale = 5.0
)

//go:embed model
var files embed.FS

// FS is the model's folder.
func FS() fs.FS {
	folder, err := fs.Sub(files, "model")
	if err != nil {
		panic(err) // the path is a constant
	}
	return folder
}
