using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;

namespace Qkd.Sim.Firmware.Transport;

/// <summary>Pseudo-terminals of POSIX. Constants as in the headers of Linux (asm-generic) and of macOS.</summary>
internal static unsafe partial class Terminal
{
    private const int ReadWrite = 2;
    private const short PollIn = 1;
    private const int TryAgainLinux = 11;
    private const int TryAgainMacOs = 35;
    private const int Interrupted = 4;

    /// <summary>More than the largest <c>struct termios</c>.</summary>
    private const int TermiosBytes = 256;

    private static readonly bool MacOs = OperatingSystem.IsMacOS();
    private static readonly int NoControllingTerminal = MacOs ? 0x20000 : 0x100;
    private static readonly int NonBlocking = MacOs ? 0x4 : 0x800;
    private static readonly int CloseOnExec = MacOs ? 0x1000000 : 0x80000;
    private static readonly nuint ClearExclusive = MacOs ? 0x2000740Eu : 0x540Du;

    /// <summary>
    /// Makes a terminal in raw mode. The slave side stays open, so that the master does not fail while no host has it open.
    /// </summary>
    /// <exception cref="Win32Exception">The system refuses.</exception>
    public static (int Master, int Slave, string DeviceFile) Open()
    {
        var master = posix_openpt(ReadWrite | NoControllingTerminal | NonBlocking | CloseOnExec);
        if (master < 0)
        {
            // Not every system takes the further flags here, but all take them in open.
            master = Check(open("/dev/ptmx", ReadWrite | NoControllingTerminal | NonBlocking | CloseOnExec));
        }

        var slave = -1;
        try
        {
            Check(grantpt(master));
            Check(unlockpt(master));
            var name = stackalloc byte[128];
            var failure = ptsname_r(master, name, 128);
            if (failure != 0)
            {
                throw new Win32Exception(failure > 0 ? failure : Marshal.GetLastPInvokeError());
            }

            var deviceFile = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
            slave = Check(open(deviceFile, ReadWrite | NoControllingTerminal | CloseOnExec));
            var settings = stackalloc byte[TermiosBytes];
            Check(tcgetattr(slave, settings));
            cfmakeraw(settings);
            Check(tcsetattr(slave, 0, settings));
            return (master, slave, deviceFile);
        }
        catch
        {
            if (slave >= 0)
            {
                Close(slave);
            }

            Close(master);
            throw;
        }
    }

    /// <summary>Waits for bytes; false when there were none in time.</summary>
    public static bool WaitReadable(int file, int milliseconds)
    {
        var request = new PollRequest { File = file, Events = PollIn };
        return poll(&request, 1, milliseconds) > 0;
    }

    /// <summary>Reads what is there; 0 if there is nothing.</summary>
    public static int Read(int file, Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            return (int)Transferred(read(file, bytes, (nuint)buffer.Length));
        }
    }

    /// <summary>Writes what fits and says how much that was.</summary>
    public static int Write(int file, ReadOnlySpan<byte> data)
    {
        fixed (byte* bytes = data)
        {
            nint written;
            do
            {
                written = write(file, bytes, (nuint)data.Length);
            }
            while (written < 0 && Marshal.GetLastPInvokeError() == Interrupted);

            return (int)Transferred(written);
        }
    }

    /// <summary>
    /// Ends exclusive use (<c>TIOCEXCL</c>). A host that dies leaves it set, since the slave stays open here, and nobody else could open
    /// the terminal any more.
    /// </summary>
    public static void Unlock(int file) => _ = ioctl(file, ClearExclusive);

    /// <summary>Closes a file.</summary>
    public static void Close(int file) => _ = close(file);

    private static nint Transferred(nint result)
    {
        if (result >= 0)
        {
            return result;
        }

        // Errors other than these mean that a side is gone; that is told by closing, never by reading or writing.
        var error = Marshal.GetLastPInvokeError();
        return error is TryAgainLinux or TryAgainMacOs or Interrupted ? 0 : -1;
    }

    private static int Check(int result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", SetLastError = true)]
    private static partial int posix_openpt(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int grantpt(int file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unlockpt(int file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ptsname_r(int file, byte* name, nuint length);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int tcgetattr(int file, byte* settings);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int tcsetattr(int file, int actions, byte* settings);

    [LibraryImport("libc")]
    private static partial void cfmakeraw(byte* settings);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(PollRequest* requests, nuint count, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(int file, byte* bytes, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int file, byte* bytes, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(int file, nuint request);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int file);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollRequest
    {
        public int File;
        public short Events;
        public short Returned;
    }
}
