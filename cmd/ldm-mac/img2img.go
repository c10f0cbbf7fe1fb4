package main

import "github.com/urfave/cli/v2"

func img2imgCommand() *cli.Command {
	return &cli.Command{
		Name: "img2img", Usage: "change a picture by a prompt", ArgsUsage: "[PROMPT]",
		Description: `Noise is added to the picture, and taken away as the prompt, or what else the model draws, says. The
result has the picture's size, transparency and colour profile, unless a size is given. The words of
the prompt may stand in quotes or not; without any, standard input is read.

Examples:
  ldm-mac run "a red apple, 3d render" --seed 7 -o apple.png
  ldm-mac img2img -i apple.png "a green apple, 3d render" --strength 0.7 -o green.png
  ldm-mac img2img -i apple.png "a red heart" --count 2 -o "heart-{seed}.jpg"`,
		Flags:  append([]cli.Flag{imageFlag(), strengthFlag(0.75, "`X` more than 0 to 1: how much of the picture to change")}, generateFlags()...),
		Action: generate,
	}
}

func inpaintCommand() *cli.Command {
	flags := append([]cli.Flag{imageFlag(), strengthFlag(1, "`X` more than 0 to 1: how much to change where the mask is white")}, maskFlags()...)
	return &cli.Command{
		Name: "inpaint", Usage: "fill a part of a picture", ArgsUsage: "[PROMPT]",
		Description: `The mask is white where the picture is to be filled, and black where it is to be kept. Models made for it
(latent diffusion's with 7 channels, Stable Diffusion's with 9) are given the picture with its hole; any
other model has what is to be kept put back at each step.

Examples:
  ldm-mac run "a red apple, 3d render" --seed 7 -o apple.png
  ldm-mac inpaint -i apple.png --mask apple.png --invert-mask "a green apple, 3d render" -o filled.png`,
		Flags: append(flags, generateFlags()...), Action: generate,
	}
}
