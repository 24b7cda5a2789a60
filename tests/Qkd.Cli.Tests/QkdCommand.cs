using System.Diagnostics;
using System.Text.Json;

namespace Qkd.Cli.Tests;

/// <summary>One run of the <c>qkd</c> command to its end.</summary>
internal sealed record QkdCommand(int ExitCode, string Output, string Error)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>Runs the command that was built with these tests.</summary>
    /// <param name="line">Its arguments, apart by spaces.</param>
    public static async Task<QkdCommand> RunAsync(string line)
    {
        // The tests lie in tests/NAME/bin/CONFIGURATION/FRAMEWORK, the command in src/Qkd.Cli likewise.
        var output = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var root = output.Parent!.Parent!.Parent!.Parent!.Parent!;
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(root.FullName, "src", "Qkd.Cli", "bin", output.Parent.Name, output.Name, "qkd.dll"));
        foreach (var argument in line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        using var late = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        late.CancelAfter(Limit);
        try
        {
            var (said, complained) = (process.StandardOutput.ReadToEndAsync(late.Token), process.StandardError.ReadToEndAsync(late.Token));
            await process.WaitForExitAsync(late.Token);
            return new(process.ExitCode, await said, await complained);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    /// <summary>Runs the command with <c>--json</c> and returns the object that it prints.</summary>
    public static async Task<JsonElement> JsonAsync(string line)
    {
        var run = await RunAsync($"{line} --json");
        return run.ExitCode == 0 ? JsonDocument.Parse(run.Output).RootElement : throw new InvalidOperationException($"qkd {line} ended with {run.ExitCode}: {run.Error}");
    }
}
