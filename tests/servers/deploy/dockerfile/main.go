// Says as JSON what BuildKit makes of a Dockerfile, without an engine: its warnings, its steps, the image's configuration.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	digest "github.com/opencontainers/go-digest"
)

type stage struct {
	Name  string   `json:"name"`
	Base  string   `json:"base"`
	Steps []string `json:"steps"`
}

type said struct {
	Warnings []string `json:"warnings"`
	Stages   []stage  `json:"stages"`
	Image    any      `json:"image"`
}

// anyImage stands for every base image, since no registry is asked.
type anyImage struct{}

func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os": "linux", "architecture": "amd64", "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}}`), nil
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out := said{Warnings: []string{}}
	options := dockerfile2llb.ConvertOpt{MetaResolver: anyImage{}, AllStages: true}
	options.Warn = func(rule, _, _, message string, at []parser.Range) {
		line := 0
		if len(at) > 0 {
			line = at[0].Start.Line
		}
		out.Warnings = append(out.Warnings, fmt.Sprintf("line %d: %s: %s", line, rule, message))
	}
	made, err := dockerfile2llb.Dockerfile2LLB(context.Background(), content, options)
	if err != nil {
		return err
	}
	out.Image = made.Image.Config
	if out.Stages, err = stages(content); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func stages(content []byte) ([]stage, error) {
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	all, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, err
	}
	var made []stage
	for _, one := range all {
		steps := []string{}
		for _, command := range one.Commands {
			if text, ok := command.(fmt.Stringer); ok {
				steps = append(steps, text.String())
			}
		}
		made = append(made, stage{one.Name, one.BaseName, steps})
	}
	return made, nil
}
