using System.ComponentModel;

namespace Qkd.Sim.Firmware.Transport;

/// <summary>
/// A pseudo-terminal. The instrument holds the master side; the slave side is the device file that a host opens. Unplugged, both are
/// closed, so that the host sees a hang-up; plugged in again, the terminal may have another name, as a USB serial adapter may.
/// </summary>
internal sealed class TerminalPort(string instrument) : EmulatedPort
{
    private readonly Lock _gate = new();
    private ILineHandler? _handler;
    private TerminalLine? _line;

    /// <inheritdoc/>
    public override void Open(ILineHandler handler)
    {
        _handler = handler;
        PlugIn();
    }

    /// <inheritdoc/>
    public override void Unplug()
    {
        TerminalLine? line;
        lock (_gate)
        {
            (line, _line) = (_line, null);
        }

        line?.HangUp();
    }

    /// <inheritdoc/>
    public override void PlugIn()
    {
        lock (_gate)
        {
            if (_line is not null)
            {
                return;
            }

            try
            {
                _line = new TerminalLine(instrument, _handler!);
            }
            catch (Win32Exception refused)
            {
                throw new IOException($"Emulated {instrument} cannot get a pseudo-terminal: {refused.Message}", refused);
            }

            Address = $"ASRL{_line.DeviceFile}::INSTR";
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        Unplug();
        return ValueTask.CompletedTask;
    }

    private sealed class TerminalLine : EmulatedLine
    {
        /// <summary>How often the terminal is freed of a lock that a host which died has left on it.</summary>
        private const int UnlockMilliseconds = 500;

        private readonly Lock _writing = new();
        private readonly ILineHandler _handler;
        private readonly Thread _reader;
        private readonly int _master;
        private readonly int _slave;
        private volatile bool _closing;

        public TerminalLine(string instrument, ILineHandler handler)
        {
            _handler = handler;
            (_master, _slave, DeviceFile) = Terminal.Open();
            _reader = new Thread(Read) { IsBackground = true, Name = $"terminal of {instrument}" };
            handler.Opened(this);
            _reader.Start();
        }

        public string DeviceFile { get; }

        public override void Send(ReadOnlySpan<byte> bytes)
        {
            lock (_writing)
            {
                while (!_closing && !bytes.IsEmpty)
                {
                    var written = Terminal.Write(_master, bytes);
                    if (written <= 0)
                    {
                        // Nobody reads and the terminal's buffer is full: what a serial line sends to nobody is lost.
                        return;
                    }

                    bytes = bytes[written..];
                }
            }
        }

        public void HangUp()
        {
            lock (_writing)
            {
                _closing = true;
            }

            // A byte on the slave's side wakes the thread that reads.
            Terminal.Write(_slave, [0]);
            if (Thread.CurrentThread != _reader)
            {
                _reader.Join();
            }

            Terminal.Close(_slave);
            Terminal.Close(_master);
            _handler.Closed(this);
        }

        private void Read()
        {
            var buffer = new byte[4096];
            while (true)
            {
                var readable = Terminal.WaitReadable(_master, UnlockMilliseconds);
                if (_closing)
                {
                    return;
                }

                Terminal.Unlock(_slave);
                if (!readable)
                {
                    continue;
                }

                var count = Terminal.Read(_master, buffer);
                if (count > 0)
                {
                    _handler.Received(this, buffer.AsSpan(0, count));
                }
            }
        }
    }
}
