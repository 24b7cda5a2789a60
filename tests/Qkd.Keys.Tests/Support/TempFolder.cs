using System.Diagnostics;

namespace Qkd.Keys.Tests.Support;

/// <summary>A folder that goes with the test.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("qkd-keys-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>
    /// What a crash at this instant would leave: all files below <paramref name="from"/> as they are, copied while their owner still has them open.
    /// By another process, since the files are locked against this one.
    /// </summary>
    public static void CopyAsTheyAre(string from, string to)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows lets nobody read a file that is opened exclusively.");
        using var copy = Process.Start(new ProcessStartInfo("cp", ["-pR", from, to]))!;
        copy.WaitForExit(TimeSpan.FromSeconds(30)).ShouldBeTrue();
        copy.ExitCode.ShouldBe(0);
    }

    /// <summary>Whether any file below a folder holds these bytes, whoever has it open.</summary>
    public bool Holds(string folder, ReadOnlySpan<byte> bytes)
    {
        var copy = this[$"copy-{Guid.NewGuid():N}"];
        CopyAsTheyAre(folder, copy);
        foreach (var file in Directory.EnumerateFiles(copy, "*", SearchOption.AllDirectories))
        {
            if (File.ReadAllBytes(file).AsSpan().IndexOf(bytes) >= 0)
            {
                return true;
            }
        }

        return false;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
