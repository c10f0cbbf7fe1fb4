package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceFolder(t *testing.T) {
	dir := t.TempDir()
	model, temporary := filepath.Join(dir, "model"), filepath.Join(dir, "temporary")
	for folder, content := range map[string]string{model: "old", temporary: "new"} {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "model_index.json"), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := replaceable(model, false); err == nil {
		t.Error("an existing folder may be replaced without force")
	}
	if err := replaceable(model, true); err != nil {
		t.Error(err)
	}
	if err := replaceFolder(temporary, model); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(model, "model_index.json"))
	if err != nil || string(content) != "new" {
		t.Errorf("the folder holds %q, %v", content, err)
	}
	if _, err := os.Lstat(temporary); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is there: %v", err)
	}
}
