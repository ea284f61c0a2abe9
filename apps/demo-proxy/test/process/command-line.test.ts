import { describe, expect, it } from "vitest";
import { type Command, readCommandLine } from "../../src/process/command-line.ts";

const read = (line: string): Command => readCommandLine(line.split(" ").filter((word) => word !== ""));

describe("the command line", () => {
  it.each<[string, Command]>([
    ["--config a.yaml", { kind: "run", file: "a.yaml" }],
    ["--config=a.yaml", { kind: "run", file: "a.yaml" }],
    ["-- --config a.yaml", { kind: "run", file: "a.yaml" }],
    ["--config a.yaml --config a.yaml", { kind: "run", file: "a.yaml" }],
    ["--check a.yaml", { kind: "check", file: "a.yaml" }],
    ["--check=a.yaml", { kind: "check", file: "a.yaml" }],
    ["--check --config a.yaml", { kind: "check", file: "a.yaml" }],
    ["--config a.yaml --check", { kind: "check", file: "a.yaml" }],
    ["--check a.yaml --config a.yaml", { kind: "check", file: "a.yaml" }],
    ["-h", { kind: "help" }],
    ["--help", { kind: "help" }],
    ["-- --help", { kind: "help" }],
    ["--config a.yaml --help", { kind: "help" }],
    ["--help --version --confg", { kind: "help" }],
    ["-v", { kind: "version" }],
    ["--version", { kind: "version" }],
    ["--check --version", { kind: "version" }],
  ])("%s", (line, command) => {
    expect(read(line)).toEqual(command);
  });

  it.each([
    ["", "--config FILE is missing"],
    ["--", "--config FILE is missing"],
    ["--config", "--config needs a FILE"],
    ["--config=", "--config needs a FILE"],
    ["--config --check", "--config needs a FILE"],
    ["--check", "--check needs a FILE"],
    ["--config a.yaml --config b.yaml", "several files are given; one is taken"],
    ["--check a.yaml --config b.yaml", "several files are given; one is taken"],
    ["--check a.yaml b.yaml", "several files are given; one is taken"],
    ["--confg a.yaml", "unknown option --confg, did you mean --config?"],
    ["--confg=a.yaml", "unknown option --confg, did you mean --config?"],
    ["-config a.yaml", "unknown option -config, did you mean --config?"],
    ["--chek a.yaml", "unknown option --chek, did you mean --check?"],
    ["--versoin", "unknown option --versoin, did you mean --version?"],
    ["--hlep", "unknown option --hlep, did you mean --help?"],
    ["--config a.yaml --port 80", "unknown option --port"],
    ["-x", "unknown option -x"],
    ["a.yaml", "unexpected a.yaml, did you mean --config a.yaml?"],
    ["--config a.yaml b.yaml", "unexpected b.yaml, did you mean --config b.yaml?"],
    ["help", "unexpected help, did you mean --help?"],
    ["version", "unexpected version, did you mean --version?"],
  ])("%s is wrong", (line, message) => {
    expect(read(line)).toEqual({ kind: "wrong", message });
  });
});
