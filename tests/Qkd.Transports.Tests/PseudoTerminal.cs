using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Qkd.Transports.Tests;

/// <summary>A pseudo-terminal: the test holds the instrument's end, the transport opens the other by name. Linux and macOS.</summary>
internal sealed partial class PseudoTerminal : IDisposable
{
    private const int ReadWrite = 2;
    private readonly SafeFileHandle _master;
    private readonly SafeFileHandle _slave;

    public PseudoTerminal()
    {
        var noControllingTerminal = OperatingSystem.IsMacOS() ? 0x20000 : 0x100;
        var master = posix_openpt(ReadWrite | noControllingTerminal);
        Check(master);
        _master = new SafeFileHandle(master, ownsHandle: true);
        Check(grantpt(master));
        Check(unlockpt(master));
        Name = Marshal.PtrToStringUTF8(ptsname(master))!;
        // Raw before use, and held open, so that nothing is echoed or translated before the transport has opened it.
        var slave = open(Name, ReadWrite | noControllingTerminal);
        Check(slave);
        _slave = new SafeFileHandle(slave, ownsHandle: true);
        var settings = new byte[256];
        Check(tcgetattr(slave, settings));
        cfmakeraw(settings);
        Check(tcsetattr(slave, 0, settings));
    }

    public string Name { get; }

    public Task WriteAsync(byte[] data) => Task.Run(() =>
    {
        for (var sent = 0; sent < data.Length;)
        {
            var count = (int)write(_master.DangerousGetHandle().ToInt32(), data[sent..], data.Length - sent);
            Check(count);
            sent += count;
        }
    });

    public Task WriteAsync(string text) => WriteAsync(Encoding.Latin1.GetBytes(text));

    public Task<byte[]> ReadAsync(int length) => Task.Run(() =>
    {
        var result = new byte[length];
        for (var received = 0; received < length;)
        {
            var part = new byte[length - received];
            var count = (int)read(_master.DangerousGetHandle().ToInt32(), part, part.Length);
            Check(count);
            part.AsSpan(0, count).CopyTo(result.AsSpan(received));
            received += count;
        }

        return result;
    });

    /// <summary>The instrument is unplugged.</summary>
    public void HangUp()
    {
        _slave.Dispose();
        _master.Dispose();
    }

    public void Dispose() => HangUp();

    private static void Check(int result)
    {
        if (result < 0)
        {
            throw new IOException($"pseudo-terminal: error {Marshal.GetLastPInvokeError()}");
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int posix_openpt(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int grantpt(int file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unlockpt(int file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint ptsname(int file);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int tcgetattr(int file, byte[] settings);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int tcsetattr(int file, int actions, byte[] settings);

    [LibraryImport("libc")]
    private static partial void cfmakeraw(byte[] settings);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(int file, [Out] byte[] buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int file, byte[] buffer, nint count);
}
