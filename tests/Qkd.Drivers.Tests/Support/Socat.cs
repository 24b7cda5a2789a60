using System.Diagnostics;
using Qkd.Devices;

namespace Qkd.Drivers.Tests.Support;

/// <summary>
/// A serial line made by socat: a terminal that a driver opens by name, whose other end is an instrument's TCP port. Neither end is of this project.
/// </summary>
internal sealed class Socat : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _folder;

    private Socat(Process process, string folder) => (_process, _folder) = (process, folder);

    /// <summary>Address of the terminal.</summary>
    public DeviceAddress Address => DeviceAddress.Parse($"ASRL{Name}::INSTR");

    private string Name => Path.Combine(_folder, "tty");

    /// <summary>Starts socat between a new terminal and a TCP port, and waits until the terminal is there.</summary>
    public static async Task<Socat> ToAsync(DeviceAddress instrument)
    {
        var folder = Directory.CreateTempSubdirectory("qkd-socat-").FullName;
        var start = new ProcessStartInfo("socat");
        start.ArgumentList.Add($"pty,raw,echo=0,link={Path.Combine(folder, "tty")}");
        start.ArgumentList.Add($"tcp:{instrument.Host}:{instrument.Port}");
        var line = new Socat(Process.Start(start)!, folder);
        await TestLimits.UntilAsync(() => File.Exists(line.Name) || line._process.HasExited);
        return line;
    }

    /// <summary>The line is cut.</summary>
    public void Cut() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
