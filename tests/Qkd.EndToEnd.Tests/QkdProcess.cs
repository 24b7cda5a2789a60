using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Qkd.EndToEnd.Tests;

/// <summary>One run of the <c>qkd</c> command as a user starts it. Whatever happens in a test, its processes end with it.</summary>
internal sealed partial class QkdProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private readonly Task _reading;

    private QkdProcess(Process process)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _error));
    }

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    public string Error
    {
        get
        {
            lock (_error)
            {
                return _error.ToString();
            }
        }
    }

    public bool HasExited => _process.HasExited;

    /// <summary>Memory resident now, in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>The repository's root.</summary>
    public static string Root { get; } = FindRoot();

    public static QkdProcess Start(params IEnumerable<string> arguments) => StartProgram("Qkd.Cli", "qkd.dll", arguments);

    /// <summary>Starts the service as a console program.</summary>
    public static QkdProcess StartService(params IEnumerable<string> arguments) => StartProgram("Qkd.Service", "qkd-service.dll", arguments);

    private static QkdProcess StartProgram(string project, string program, IEnumerable<string> arguments)
    {
        // The tests lie in tests/NAME/bin/CONFIGURATION/FRAMEWORK: the command was built in the same configuration.
        var output = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var assembly = Path.Combine(Root, "src", project, "bin", output.Parent!.Name, output.Name, program);
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = Root,
        };
        start.ArgumentList.Add(assembly);
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DOTNET_NOLOGO"] = "1";
        return new QkdProcess(Process.Start(start)!);
    }

    /// <summary>Runs to the end and returns the JSON object that it prints.</summary>
    public static async Task<JsonElement> RunJsonAsync(TimeSpan limit, params IEnumerable<string> arguments)
    {
        await using var run = Start(arguments);
        var code = await run.WaitAsync(limit);
        return code == 0
            ? run.Json()
            : throw new InvalidOperationException($"qkd {string.Join(' ', arguments)} ended with {code}: {run.Error} {run.Output}");
    }

    /// <summary>Runs until a condition holds, interrupts as a person would, and returns the JSON object that it prints then.</summary>
    public static async Task<JsonElement> RunJsonUntilAsync(TestBench bench, Func<bool> condition, string what, params IEnumerable<string> arguments)
    {
        await using var run = Start(["run", "--json", .. bench.Everything, .. arguments]);
        await UntilAsync(() => Task.FromResult(run.HasExited || condition()), TimeSpan.FromMinutes(3), what);
        run.Interrupt();
        var code = await run.WaitAsync(TimeSpan.FromSeconds(60));
        return code == 0 ? run.Json() : throw new InvalidOperationException($"qkd ended with {code}: {run.Error} {run.Output}");
    }

    public JsonElement Json() => JsonDocument.Parse(Output).RootElement;

    /// <summary>Waits for the end and returns the exit code.</summary>
    public async Task<int> WaitAsync(TimeSpan limit)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        late.CancelAfter(limit);
        try
        {
            await _process.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"qkd did not end within {limit.TotalSeconds:0} s. It said: {Output} {Error}");
        }

        await _reading;
        return _process.ExitCode;
    }

    /// <summary>Waits until a condition holds, asked for ten times a second.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition, TimeSpan limit, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            if (clock.Elapsed > limit)
            {
                throw new TimeoutException($"{what} did not happen within {limit.TotalSeconds:0} s");
            }

            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>What systemd sends to end a service.</summary>
    public void Terminate() => Send(15);

    /// <summary>What Ctrl-C sends.</summary>
    public void Interrupt() => Send(2);

    /// <summary>Ends it without a chance to say anything.</summary>
    public void Kill() => _process.Kill(entireProcessTree: true);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    private void Send(int signal)
    {
        if (Signal(_process.Id, signal) != 0 && !_process.HasExited)
        {
            throw new InvalidOperationException($"the process {_process.Id} does not take signal {signal}");
        }
    }

    private static async Task ReadAsync(StreamReader reader, StringBuilder into)
    {
        var buffer = new char[4096];
        int got;
        while ((got = await reader.ReadAsync(buffer)) > 0)
        {
            lock (into)
            {
                into.Append(buffer, 0, got);
            }
        }
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Directory.Build.props")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests must run inside the source tree.");
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
