// Package compvis makes a model folder, in memory, of an original checkpoint of CompVis'
// latent-diffusion or stable-diffusion: one .ckpt or .safetensors with all networks in it, with or
// without the YAML file of its training. It also writes the two forms: a diffusers folder, and one
// safetensors with the original names.
//
// The one idea: the weights are believed before anything that is said of them. Their names and
// shapes give the networks' structure; a YAML file, the tensors beside the weights and a table of
// the published systems give what shapes cannot (numbers of heads, noise schedules), and whatever
// says something else than the shapes is refused.
//
// Sources: CompVis/latent-diffusion and CompVis/stable-diffusion (ldm/models/diffusion/ddpm.py,
// ldm/modules/diffusionmodules/openaimodel.py and model.py, ldm/modules/x_transformer.py,
// ldm/modules/ema.py, configs/), Stability-AI/stablediffusion (configs/), huggingface/diffusers
// (scripts/convert_ldm_original_checkpoint_to_diffusers.py, loaders/single_file_utils.py).
package compvis
