using System.CommandLine;
using System.CommandLine.Parsing;
using Qkd.Cli;
using Qkd.Cli.Commands;
using Spectre.Console;

if (Console.IsOutputRedirected)
{
    // In a file or a pipe a line is a line.
    AnsiConsole.Profile.Width = 200;
}

// The `qkd` command: each verb is a file in Commands. Exit codes: 0 success, 1 failure (one sentence on stderr), 2 wrong use.
var root = new RootCommand("Quantum key distribution: run a bench, look at its instruments, fetch its keys.")
{
    RunCommand.Create(),
    SimCommand.Create(),
    InitCommand.Create(),
    DevicesCommand.Create(),
    TagsCommand.Create(),
    KeysCommand.Create(),
    BenchmarkCommand.Create(),
    DistillCommand.Create(),
    ReplayCommand.Create(),
    KeyRateCommand.Create(),
};

var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors)
    {
        await Console.Error.WriteLineAsync(error.Message);
    }

    var path = string.Join(' ', Enclosing(parsed.CommandResult).Reverse().Select(result => result.Command.Name));
    await Console.Error.WriteLineAsync($"See '{path} --help'.");
    return ExitCodes.WrongUse;
}

// After Ctrl-C the laser goes off, instruments are closed and stores settled: a loaded machine may need more than the two seconds that are usual.
return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });

static IEnumerable<CommandResult> Enclosing(CommandResult verb)
{
    for (var result = verb; result is not null; result = result.Parent as CommandResult)
    {
        yield return result;
    }
}
